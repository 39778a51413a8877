import { describe, expect, test } from "vitest";
import type { Entry } from "../log.js";
import { broken, doctored, isRowOf, isSaid, objections } from "./doctor.js";
import { at, Story, wall } from "./story.js";

/** A grant whose answer was lost, and which was given back. */
function story() {
  const story = new Story([], 90_000);
  for (const process of ["a", "b"]) {
    story.hello(process, 0);
    story.beats(process, 10, 80_000);
  }
  const call = story.call("a", 100, { call: "tryAcquire", keys: ["key"] });
  const orphan = story.recordGrant("a", "key", 101, { ttlMs: 4_000 });
  story.settle("a", 1_000, call, { outcome: "error", code: "unavailable" });
  story.recordRelease(orphan, 1_100);
  const waiting = story.enqueue("b", "other", 2_000);
  story.leave(waiting, 3_000);
  story.tell({ p: "nemesis", t: at(10_000), e: "quiet" });
  for (const process of ["a", "b"]) story.bye(process, 80_000);
  return { entries: story.entries, orphan, waiting };
}

describe("P10", () => {
  const isRelease = isRowOf("grants", ({ token }) => token === null);

  test("an honest history", () => {
    expect(objections(story().entries)).toEqual([]);
  });

  test("an orphan that stands until it expires", () => {
    const { entries } = story();
    const stands = doctored(entries, isRelease, null);
    expect(objections(stands)).toEqual([
      expect.stringMatching(/^P10: "key": fence 1010 .* was told to nobody, and stood until it expired at 4.101 s/),
    ]);
    const cut = { p: "nemesis", e: "fault", id: 1, fault: "cut", on: ["a"], t: at(150), phase: "begin" } as const;
    expect(objections([...stands, cut, { ...cut, t: at(160), phase: "end" }])).toEqual([]);
    const killed = {
      p: "nemesis",
      e: "exit",
      of: "a",
      code: null,
      signal: "SIGKILL",
      isWanted: true,
      t: at(50),
    } as const;
    const dead = stands.filter(
      (entry) => !isSaid("a", { e: "bye" })(entry) && !(entry.e === "exit" && entry.of === "a"),
    );
    expect(objections([...dead, killed])).toEqual([]);
  });

  test("an orphan that is renewed for nobody", () => {
    const { entries, orphan } = story();
    const row = { ...orphan.row, p: "database", e: "row", table: "grants", op: "U", id: 100_000, xid: "9" } as const;
    const renewed: Entry = {
      ...row,
      at: wall(33_000),
      renewedAt: wall(33_000),
      expiresAt: wall(37_000),
      committedAt: wall(33_000),
    };
    const long = doctored(
      doctored(entries, isRelease, null),
      isRowOf("grants", () => true),
      { expiresAt: wall(35_000) },
    );
    expect(objections([...long, renewed])).toEqual([
      expect.stringMatching(/^P10: .* and was renewed at 33.000 s, when nobody asked for it any more/),
    ]);
    expect(
      objections(
        doctored(
          long,
          isRowOf("grants", () => true),
          { expiresAt: wall(60_000) },
        ),
      ),
    ).toEqual([expect.stringMatching(/^P10: .* and still stood at 40.000 s, long after the last fault/)]);
  });

  test("what is left of a process that has closed everything", () => {
    const { entries, orphan, waiting } = story();
    const { op: _, id: __, at: ___, xid: ____, committedAt: _____, ...row } = orphan.row;
    const lease: Entry = { ...row, p: "database", e: "row", table: "left leases", node: "one" };
    expect(objections([...entries, lease])).toEqual([]); // expired
    expect(objections([...entries, { ...lease, expiresAt: wall(81_000) }])).toEqual([
      'P10: a had closed everything at 80.000 s, and left "key" locked with fence 1010, until 81.000 s',
    ]);
    const { key, ticket, token } = waiting;
    const entry = {
      p: "database",
      e: "row",
      table: "left waiters",
      node: "one",
      key,
      ticket,
      token,
      sessionId: 101,
      owner: "x",
    } as const;
    const left = (ms: number): Entry => ({ ...entry, weight: null, capacity: null, aliveUntil: wall(ms) });
    expect(broken([...entries, left(83_000)])).toEqual([]);
    expect(broken([...entries, left(84_000)])).toEqual(["P10"]);
  });
});
