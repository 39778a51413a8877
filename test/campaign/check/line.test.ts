import { describe, expect, test } from "vitest";
import { broken, doctored, isRowOf, isSaid, objections } from "./doctor.js";
import { at, Story, wall } from "./story.js";

const part = (weight: number, capacity: number) => ({ mode: "semaphore", weight, capacity }) as const;

/** b waits before c, and both are served. */
function story() {
  const story = new Story();
  for (const process of ["a", "b", "c", "d"]) {
    story.hello(process, 0);
    story.beats(process, 10, 40_000);
  }
  const first = story.grant("a", "key", 100);
  const b = story.enqueue("b", "key", 1_000);
  const c = story.enqueue("c", "key", 2_000);
  story.wait(b, 2_000, 5_000);
  story.wait(c, 3_000, 7_000);
  story.release(first, 5_500);
  const second = story.serve(b, 5_510);
  story.release(second, 7_500);
  const third = story.serve(c, 7_510);
  story.release(third, 8_000);
  const last = story.grant("d", "key", 8_100, { call: "tryAcquire" });
  story.release(last, 8_200);
  for (const process of ["a", "b", "c", "d"]) story.bye(process, 40_000);
  return { entries: story.entries, first, b, c, second, third, last };
}

const isOfLine = (token: string, op: string, ms?: number) =>
  isRowOf("line", (row) => row.token === token && row.op === op && (ms === undefined || row.at === wall(ms)));

describe("P7", () => {
  test("an honest history", () => {
    expect(objections(story().entries)).toEqual([]);
  });

  test("a grant ahead of a waiter with a smaller ticket", () => {
    const { entries, b } = story();
    const swapped = entries.map((entry) => {
      return isRowOf("line", ({ token }) => token === b.token)(entry) ? { ...entry, ticket: "9" } : entry;
    });
    expect(objections(swapped)).toEqual([
      expect.stringMatching(
        /^P7: "key" was granted to fence 1020 .* with ticket 9, ahead of host:4102, who stood there with ticket 2 since 2.001 s and was alive$/,
      ),
    ]);
  });

  test("a grant without a place, ahead of a waiter", () => {
    const { entries, last } = story();
    const isGrant = isRowOf("grants", ({ id }) => id === last.first.id);
    // while c stands in line and b has just let go
    const early = doctored(entries, isGrant, {
      at: wall(7_505),
      renewedAt: wall(7_505),
      committedAt: wall(7_505),
      id: 0,
    });
    expect(broken(early)).toContain("P7");
  });

  test("not ahead of who had lapsed, had left, or was not committed yet", () => {
    const { entries, b, c } = story();
    const swap = (from: typeof entries) => {
      return from.map((entry) =>
        isRowOf("line", ({ token }) => token === b.token)(entry) ? { ...entry, ticket: "9" } : entry,
      );
    };
    const ofC = isRowOf("line", ({ token }) => token === c.token);
    const lapsed = swap(entries).map((entry) => (ofC(entry) ? { ...entry, aliveUntil: wall(5_505) } : entry));
    expect(broken(lapsed)).toEqual([]);
    const left = doctored(swap(entries), isOfLine(c.token, "D"), { at: wall(5_505), xid: "77" });
    expect(broken(left)).toEqual([]);
    const uncommitted = doctored(swap(entries), isOfLine(c.token, "I"), { committedAt: wall(5_511) });
    expect(broken(uncommitted)).toEqual([]);
    // what was extended a moment before may not have been seen
    const late = doctored(swap(entries), isOfLine(c.token, "U", 5_000), { aliveUntil: wall(5_400), at: wall(5_001) });
    const others = late.map((entry) => {
      const isEarly = isRowOf("line", (row) => row.token === c.token && row.at <= wall(4_000))(entry);
      return isEarly ? { ...entry, aliveUntil: wall(5_505) } : entry;
    });
    expect(broken(others)).toEqual([]);
  });

  test("not after a crash, which forgets them", () => {
    const { entries, b } = story();
    const swapped = entries.map((entry) => {
      return isRowOf("line", ({ token }) => token === b.token)(entry) ? { ...entry, ticket: "9" } : entry;
    });
    swapped.push({ p: "nemesis", t: at(4_000), e: "primary", node: "one", isLagging: false });
    expect(broken(swapped)).toEqual([]);
  });

  test("a reader that passes a writer, a small part that passes a large one", () => {
    for (const [terms, small, expected] of [
      [{ mode: "exclusive" }, part(1, 5), ["P7"]],
      [part(5, 5), part(1, 5), ["P7"]],
      [part(4, 5), part(1, 5), ["P7"]], // with the one that is held
      [part(3, 5), part(1, 5), []],
    ] as const) {
      const story = new Story();
      for (const process of ["a", "b", "c"]) {
        story.hello(process, 0);
        story.beats(process, 10, 20_000);
      }
      const held = story.grant("a", "key", 100, { terms: part(1, 5) });
      const waiting = story.enqueue("b", "key", 1_000, terms);
      story.wait(waiting, 2_000, 3_000);
      const passing = story.grant("c", "key", 3_500, { terms: small });
      story.release(passing, 3_600);
      story.release(held, 3_700);
      story.release(story.serve(waiting, 3_710), 3_800);
      for (const process of ["a", "b", "c"]) story.bye(process, 20_000);
      expect(broken(story.entries), JSON.stringify(terms)).toEqual(expected);
    }
  });

  test("a free key that nobody is granted, while somebody waits", () => {
    const waitingUntil = (ms: number) => {
      const story = new Story();
      for (const process of ["a", "b"]) {
        story.hello(process, 0);
        story.beats(process, 10, 40_000);
      }
      const held = story.grant("a", "key", 100);
      const waiting = story.enqueue("b", "key", 1_000);
      story.wait(waiting, 2_000, ms);
      story.release(held, 3_000);
      story.release(story.serve(waiting, ms + 500), ms + 600);
      for (const process of ["a", "b"]) story.bye(process, 40_000);
      return story;
    };
    expect(objections(waitingUntil(12_000).entries)).toEqual([]);
    expect(objections(waitingUntil(15_000).entries)).toEqual([
      expect.stringMatching(
        /^P7: "key" was free since 3.001 s, and nobody had it at 13.001 s, though host:4101 waited for it and nothing was wrong/,
      ),
    ]);
    const frozen = waitingUntil(15_000);
    frozen.fault("freeze", 5_000, 6_000, ["b"]);
    expect(objections(frozen.entries)).toEqual([]);
    const late = waitingUntil(15_000).entries.concat({ p: "b", t: at(8_000), e: "lag", ms: 1_000 });
    expect(objections(late)).toEqual([]);
  });
});

describe("P8", () => {
  const killed = (takenAt: number) => {
    const story = new Story();
    for (const process of ["a", "b"]) story.hello(process, 0);
    story.beats("a", 10, 3_010);
    story.beats("b", 10, 50_000);
    story.grant("a", "key", 100, { ttlMs: 40_000 });
    const waiting = story.enqueue("b", "key", 1_000);
    story.kill("a", 3_100);
    story.wait(waiting, 2_000, takenAt);
    const taken = story.serve(waiting, takenAt + 10);
    story.release(taken, takenAt + 100);
    story.bye("b", 50_000);
    return story.entries;
  };

  test("a killed holder whose key is taken over", () => {
    expect(objections(killed(8_200))).toEqual([]);
    expect(objections(killed(20_000))).toEqual([
      expect.stringMatching(
        /^P8: "key": fence 1010 .* was killed at 3.100 s, and nobody had its lock at 18.100 s, though host:4101 waited for it/,
      ),
    ]);
  });

  test("a key that cannot be acquired at the end, or not in time", () => {
    const story = new Story();
    story.hello("a", 0);
    story.grant("a", "key", 100, { ttlMs: 15_000 });
    story.kill("a", 200);
    story.tell(
      { p: "nemesis", t: at(1_000), e: "quiet" },
      { p: "nemesis", t: at(16_000), e: "probe", key: "key", ms: 14_000 },
    );
    const isProbe = isSaid("nemesis", { e: "probe" });
    expect(objections(story.entries)).toEqual([]);
    expect(objections(doctored(story.entries, isProbe, { ms: null, why: "busy" }))).toEqual([
      'P8: "key" could not be acquired at the end: busy',
    ]);
    expect(broken(doctored(story.entries, isProbe, { t: at(40_000), ms: 38_000 }))).toEqual(["P8"]);
  });
});
