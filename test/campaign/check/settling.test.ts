import { describe, expect, test } from "vitest";
import { broken, doctored, isSaid, objections } from "./doctor.js";
import { at, Story } from "./story.js";

function story() {
  const story = new Story();
  story.hello("a", 0);
  story.settle("a", 5_200, story.call("a", 100, { call: "tryAcquire", keys: ["key"] }), {
    outcome: "error",
    code: "unavailable",
  });
  const refused = story.call("a", 6_000, { call: "ready", mustFail: "unsafe-backend" });
  story.settle("a", 6_100, refused, { outcome: "error", code: "unsafe-backend" });
  story.bye("a", 30_000);
  story.hello("b", 0);
  story.call("b", 100, { call: "acquire", keys: ["key"] });
  story.kill("b", 200);
  story.tell({ p: "nemesis", t: at(20_000), e: "quiet" });
  return story.entries;
}

const isEnd = isSaid("a", { e: "settled", id: 1 });

describe("P13", () => {
  test("an honest history", () => {
    expect(objections(story())).toEqual([]);
  });

  test("a call that never settles", () => {
    expect(objections(doctored(story(), isEnd, null))).toEqual([
      "P13: the call 1 of a (tryAcquire key) never settled: it began at 0.100 s",
    ]);
    // nobody wanted the other process to end
    const alive = story().filter((entry) => !(entry.p === "nemesis" && entry.e === "exit" && entry.of === "b"));
    expect(broken(alive)).toContain("P13");
  });

  test("a call that settles too late", () => {
    expect(objections(doctored(story(), isEnd, { t: at(12_000) }))).toEqual([
      "P13: the call 1 of a (tryAcquire key) took 11900 ms; its options promise 5000 ms",
    ]);
  });

  test("not while the process stood still", () => {
    const late = doctored(story(), isEnd, { t: at(12_000) });
    const still = { p: "a", t: at(7_000), e: "lag", ms: 4_000 } as const;
    expect(objections([...late, still])).toEqual([]);
    expect(broken([...late, { ...still, t: at(20_000) }])).toEqual(["P13"]);
  });

  test("a client without an event loop stood still while it was frozen", () => {
    const story = new Story();
    story.hello("a", 0, "psql");
    const call = story.call("a", 100, { call: "sql" });
    story.settle("a", 14_000, call);
    story.bye("a", 30_000);
    expect(broken(story.entries)).toEqual(["P13"]);
    story.fault("freeze", 5_000, 12_000, ["a"]);
    expect(broken(story.entries)).toEqual([]);
  });
});

describe("P12", () => {
  test("a set-up that must be refused", () => {
    const isRefusal = isSaid("a", { e: "settled", id: 2 });
    expect(objections(doctored(story(), isRefusal, { outcome: "done" }))).toEqual([
      "P12: the call 2 of a (ready ) must fail with unsafe-backend, and ended as done",
    ]);
    expect(broken(doctored(story(), isRefusal, { code: "invalid-option" }))).toEqual(["P12"]);
    // it could not be reached, and so not be looked at
    expect(broken(doctored(story(), isRefusal, { code: "unavailable" }))).toEqual([]);
  });
});
