import { describe, expect, test } from "vitest";
import { broken, doctored, isRowOf, isSaid, objections } from "./doctor.js";
import { at, Story, wall } from "./story.js";

function story() {
  const story = new Story();
  for (const process of ["a", "b"]) {
    story.hello(process, 0);
    story.beats(process, 10, 30_000);
  }
  const expired = story.grant("a", "key", 100, { ttlMs: 2_000 });
  story.lose(expired, 2_150);
  const released = story.grant("a", "other", 3_000, { ttlMs: 2_000 });
  story.release(released, 4_000);
  for (const process of ["a", "b"]) story.bye(process, 30_000);
  return { entries: story.entries, expired, released };
}

describe("P9", () => {
  const isLoss = isSaid("a", { e: "lost" });

  test("an honest history", () => {
    expect(objections(story().entries)).toEqual([]);
  });

  test("a loss that is never told, or late", () => {
    const { entries } = story();
    expect(objections(doctored(entries, isLoss, null))).toEqual([
      'P9: lock 1 of a (fence 1010) of "key" expired at 2.101 s, and was never told',
    ]);
    expect(broken(doctored(entries, isLoss, { t: at(7_200) }))).toContain("P9");
    expect(broken(doctored(entries, isLoss, { t: at(7_050) }))).not.toContain("P9");
  });

  test("a lock that expired although it was to be released, and was not", () => {
    const { entries, released } = story();
    const isRelease = isSaid("a", { e: "call", call: "release" });
    const isRow = isRowOf("grants", (row) => row.fence === released.grant.fence && row.token === null);
    expect(broken(doctored(doctored(entries, isRelease, { call: "check" }), isRow, null))).toContain("P9");
  });

  test("not while the process stood still, nor when it has ended before", () => {
    const late = doctored(story().entries, isLoss, { t: at(10_000) });
    expect(broken(late)).toContain("P9");
    expect(broken([...late, { p: "a", t: at(9_500), e: "lag", ms: 6_000 }])).toEqual(["P5"].slice(1));
    const gone = doctored(story().entries, isLoss, null);
    expect(broken(doctored(gone, isSaid("a", { e: "bye" }), { t: at(6_000) }))).toEqual([]);
  });

  test("not by what a server had that was replaced", () => {
    const { entries, expired } = story();
    const renewed = {
      ...expired.row,
      p: "database",
      e: "row",
      table: "grants",
      op: "U",
      isLost: true,
      id: 100_000,
    } as const;
    const known = [
      ...entries,
      { ...renewed, renewedAt: wall(2_000), expiresAt: wall(12_000), at: wall(2_000), committedAt: wall(2_000) },
    ];
    const isLate = (from: typeof entries) => broken(doctored(from, isLoss, { t: at(12_100) }));
    expect(isLate(known)).toEqual([]);
    expect(isLate(entries)).toEqual(["P9"]);
  });
});
