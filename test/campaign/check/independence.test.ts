import { describe, expect, test } from "vitest";
import { broken, doctored, isSaid, objections } from "./doctor.js";
import { at, Story } from "./story.js";

const long = "x".repeat(500);

describe("P6", () => {
  test("a refusal without a reason", () => {
    const refused = (heldUntil: number) => {
      const story = new Story();
      for (const process of ["a", "b"]) {
        story.hello(process, 0);
        story.beats(process, 10, 20_000);
      }
      const twin = story.grant("a", `${long}:1`, 4_000);
      const before = story.grant("a", `${long}:2`, 100);
      story.release(before, heldUntil);
      const call = story.call("b", 5_000, { call: "tryAcquire", keys: [`${long}:2`] });
      story.settle("b", 5_005, call, { outcome: "nothing" });
      story.release(twin, 6_000);
      for (const process of ["a", "b"]) story.bye(process, 20_000);
      return story;
    };
    expect(objections(refused(5_100).entries)).toEqual([]);
    expect(objections(refused(4_900).entries)).toEqual([]); // too near to be sure
    expect(objections(refused(3_000).entries)).toEqual([
      expect.stringMatching(
        /^P6: the call \d+ of b \(tryAcquire x+\.\.\.xxx:2\) was refused, and nobody held that key/,
      ),
    ]);
    const locked = refused(3_000);
    locked.fault("row lock", 4_000, 6_000, [], `${long}:2`);
    expect(objections(locked.entries)).toEqual([]);
    const other = refused(3_000);
    other.fault("row lock", 4_000, 6_000, [], `${long}:1`);
    expect(broken(other.entries)).toEqual(["P6"]);
    const asked = refused(3_000);
    asked.settle("a", 5_100, asked.call("a", 5_001, { call: "check", keys: [`${long}:2`] }));
    expect(broken(asked.entries)).toEqual(["P6"]); // which locks nothing
    asked.settle("a", 5_100, asked.call("a", 5_001, { call: "forceRelease", keys: [`${long}:2`] }));
    expect(objections(asked.entries)).toEqual([]);
  });

  test("a row that is kept open, and calls about other keys", () => {
    const story = new Story();
    story.hello("a", 0);
    const others = Array.from({ length: 150 }, (_, n) => {
      const id = story.call("a", 10_000 + n * 40, { call: "check", keys: ["other"], boundMs: 10_000 });
      story.settle("a", 10_010 + n * 40, id);
      return id;
    });
    const own = story.call("a", 11_000, { call: "check", keys: ["key"] });
    story.settle("a", 14_900, own);
    story.fault("row lock", 10_500, 15_000, [], "key");
    story.bye("a", 30_000);
    expect(objections(story.entries)).toEqual([]);
    const isLate = isSaid("a", { e: "settled", id: others[50] });
    const late = doctored(story.entries, isLate, { t: at(14_900) });
    expect(objections(late)).toEqual([
      `P6: the call ${others[50]} of a (check other) took 2900 ms, while a stranger kept the row of "key"`,
    ]);
    const about = { p: "nemesis", e: "fault", id: 9, fault: "silence", on: ["a"] } as const;
    expect(
      objections([...late, { ...about, t: at(14_000), phase: "begin" }, { ...about, t: at(14_100), phase: "end" }]),
    ).toEqual([]);
  });
});
