import { describe, expect, test } from "vitest";
import { broken, doctored, isRowOf, isSaid, objections } from "./doctor.js";
import { at, type Held, Story, wall } from "./story.js";

function story() {
  const story = new Story();
  for (const process of ["a", "b"]) {
    story.hello(process, 0);
    story.beats(process, 10, 20_000);
  }
  const old = story.grant("a", "key", 100);
  story.release(old, 1_000);
  const held = story.grant("b", "key", 2_000);
  // of what ended long ago, while another one has the key
  const stale = story.call("a", 3_000, { call: "release", keys: ["key"], isStale: true, by: "SQL" });
  story.settle("a", 3_010, stale, { outcome: "nothing" });
  const renewal = story.call("a", 3_100, {
    call: "renew",
    keys: ["key"],
    lock: old.grant.lock,
    isStale: true,
    by: "SQL",
  });
  story.settle("a", 3_110, renewal, { outcome: "error", code: "LH002" });
  story.release(held, 4_000);
  const forced = story.grant("a", "key", 5_000, { ttlMs: 2_000 });
  const force = story.call("b", 5_100, { call: "forceRelease", keys: ["key"] });
  story.recordRenewal(forced, 5_101, { revokedAt: wall(5_101), renewedAt: wall(5_001), expiresAt: wall(7_001) });
  story.settle("b", 5_102, force);
  story.lose(forced, 5_500, "forced");
  story.recordRelease(forced, 5_501);
  const share = story.grant("b", "shared", 6_000, { terms: { mode: "shared", weight: 1 } });
  story.release(share, 7_000);
  for (const process of ["a", "b"]) story.bye(process, 20_000);
  return { entries: story.entries, old, held, forced, share, force };
}

const isRelease = ({ first: { kind, fence } }: Held) =>
  isRowOf("grants", (row) => row.kind === kind && row.fence === fence && (row.token === null || row.op === "D"));

describe("P4", () => {
  test("an honest history", () => {
    expect(objections(story().entries)).toEqual([]);
  });

  test("a stale token that released the grant of another", () => {
    const { entries, held } = story();
    const time = { at: wall(3_005), releasedAt: wall(3_005), committedAt: wall(3_005) };
    expect(objections(doctored(entries, isRelease(held), time))).toEqual([
      expect.stringMatching(
        /^P4: "key": fence 1020 .* was released at 3.005 s, when none of its holders was about to release it/,
      ),
    ]);
  });

  test("not while its holder was about to release it, or had lost it", () => {
    const { entries, held, forced } = story();
    const isCall = isSaid("b", { e: "call", call: "release", lock: held.grant.lock });
    const time = { at: wall(3_005), releasedAt: wall(3_005), committedAt: wall(3_005) };
    const early = doctored(entries, isRelease(held), time);
    expect(objections(doctored(early, isCall, { t: at(3_000) }))).toEqual([]);
    expect(broken(doctored(entries, isSaid("a", { e: "lost", lock: forced.grant.lock }), null))).toContain("P4");
  });

  test("a longest hold that was over before the process was told of the grant, and one that was not", () => {
    const story = new Story();
    story.hello("a", 0);
    const held = story.grant("a", "key", 100, { maxHoldMs: 40, tookMs: 20 });
    story.recordRelease(held, 141);
    const { key, lock } = held.grant;
    const late = story.call("a", 3_000, { call: "release", keys: [key], lock });
    story.settle("a", 3_001, late, { outcome: "error", code: "lease-lost", reason: "max-hold" });
    story.bye("a", 20_000);

    expect(objections(story.entries)).toEqual([]);
    expect(objections(doctored(story.entries, isSaid("a", { e: "call", call: "acquire" }), { maxHoldMs: 60 }))).toEqual(
      [expect.stringMatching(/^P4: "key": fence 1010 .* was released at 0.141 s/)],
    );
  });

  test("not when a server that was replaced had released it, and that is repeated on the new one", () => {
    const story = new Story(["async-failover"]);
    story.hello("a", 0);
    const held = story.grant("a", "key", 100, { ttlMs: 9_000 });
    story.release(held, 200);
    story.node = "two";
    story.tell({ p: "nemesis", t: at(1_000), e: "primary", node: "two", isLagging: true });
    story.recordRenewal(held, 101);
    story.recordRelease(held, 3_000);
    story.bye("a", 20_000);
    const isFirst = isRowOf("grants", ({ node, token }) => node === "one" && token !== null);
    const honest = doctored(story.entries, isFirst, { node: "two" }); // which the standby had heard of
    expect(objections(honest)).toEqual([]);
    const isLost = isRowOf("grants", ({ node }) => node === "one");
    expect(broken(doctored(honest, isLost, null))).toContain("P4");
  });

  test("a call by what had ended long before that was done", () => {
    const { entries } = story();
    expect(broken(doctored(entries, isSaid("a", { e: "settled", t: at(3_010) }), { outcome: "done" }))).toEqual(["P4"]);
    expect(broken(doctored(entries, isSaid("a", { e: "settled", t: at(3_110) }), { outcome: "done" }))).toEqual(["P4"]);
  });

  test("not once the server's clock has been set", () => {
    const { entries } = story();
    const done = doctored(entries, isSaid("a", { e: "settled", t: at(3_110) }), { outcome: "done" });
    const step = { p: "nemesis", e: "server-clock", node: "one", offset: -5_000_000 } as const;
    expect(broken([...done, { ...step, t: at(2_500) }])).toEqual([]);
    expect(broken([...done, { ...step, t: at(15_000) }])).toContain("P4");
  });

  test("a share that vanished, and a lease", () => {
    const { entries, share, held } = story();
    const time = { at: wall(6_500), committedAt: wall(6_500) };
    expect(objections(doctored(entries, isRelease(share), time))).toEqual([
      expect.stringMatching(/^P4: "shared": .* was deleted at 6.500 s/),
    ]);
    const deleted = { op: "D", token: held.token, at: wall(3_500), committedAt: wall(3_500) };
    expect(broken(doctored(entries, isRelease(held), deleted))).toContain("P4");
  });

  test("a release by force that nobody asked for", () => {
    const { entries } = story();
    expect(objections(doctored(entries, isSaid("b", { e: "call", call: "forceRelease" }), { call: "check" }))).toEqual([
      expect.stringMatching(
        /^P4: "key": fence 1030 .* was taken away by force at 5.101 s, and nobody had asked for that/,
      ),
    ]);
  });

  test("a share that somebody removed who was not granted it himself: of a dead holder, and of one that lives", () => {
    const story = new Story();
    for (const process of ["a", "b"]) story.hello(process, 0);
    story.beats("a", 10, 900);
    story.beats("b", 10, 20_000);
    const held = story.grant("a", "key", 100, { terms: { mode: "shared", weight: 1 }, ttlMs: 20_000 });
    story.kill("a", 900);
    story.recordRelease(held, 6_500);
    story.bye("b", 20_000);

    expect(objections(story.entries)).toEqual([]);
    const time = { at: wall(4_900), committedAt: wall(4_900) }; // its takeover delay is 5 s
    expect(objections(doctored(story.entries, isRelease(held), time))).toEqual([
      expect.stringMatching(/^P4: "key": fence 1010 .* was deleted at 4.900 s/),
    ]);
  });

  test("a holder that died after a release by force, and another such release, which frees the key", () => {
    const story = new Story();
    for (const process of ["a", "b"]) story.hello(process, 0);
    const held = story.grant("a", "key", 100, { ttlMs: 4_000 });
    const force = (ms: number) =>
      story.settle("b", ms + 2, story.call("b", ms, { call: "forceRelease", keys: ["key"] }));
    force(200);
    story.recordRenewal(held, 201, { revokedAt: wall(201), renewedAt: wall(101), expiresAt: wall(4_101) });
    story.kill("a", 300);
    force(3_000);
    story.recordRelease(held, 3_001);
    story.bye("b", 20_000);

    expect(objections(story.entries)).toEqual([]);
    const isSecond = isSaid("b", { e: "call", t: at(3_000) });
    expect(objections(doctored(story.entries, isSecond, { call: "check" }))).toEqual([
      expect.stringMatching(/^P4: "key": fence 1010 .* was released at 3.001 s/),
    ]);
  });

  test("a release by force of the nemesis", () => {
    const asked = story();
    const without = doctored(asked.entries, isSaid("b", { e: "call", call: "forceRelease" }), { call: "check" });
    const about = { p: "nemesis", e: "fault", id: 1, fault: "forced release", on: [], key: "key" } as const;
    expect(
      objections([...without, { ...about, t: at(5_090), phase: "begin" }, { ...about, t: at(5_110), phase: "end" }]),
    ).toEqual([]);
  });
});
