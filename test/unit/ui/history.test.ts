// What is told of a key from two looks at it.
import { expect, test } from "vitest";
import { History } from "../../../src/ui/live/history.js";
import type { Rows } from "../../../src/ui/reading/reading.js";
import { leases } from "./rows.js";

const held = { key: "a", fence: "7", owner: "first", expiresAt: 9_000 };

function between(before: Rows, after: Rows, atMs = 5_000) {
  return new History().compare(before, after, atMs);
}

test("a grant, and its end", () => {
  expect(between(leases(), leases({ ...held, acquiredAt: 4_500 }))).toEqual([
    { at: 4_500, key: "a", what: "granted", owner: "first", fence: "7" },
  ]);
  expect(between(leases(held), leases())).toEqual([{ at: 5_000, key: "a", what: "ended", owner: "first", fence: "7" }]);
  expect(between(leases(), leases({ ...held, mode: "shared" }))).toMatchObject([{ what: "shared" }]);
  expect(between(leases(), leases({ ...held, mode: "semaphore" }))).toMatchObject([{ what: "shared" }]);
  expect(between(leases(), leases({ ...held, state: "revoked" }))).toMatchObject([{ what: "granted" }]);
});

test("one holder after another: the first has ended before the second began, and it is counted who was not seen", () => {
  const next = { key: "a", fence: "9", owner: "second", acquiredAt: 4_500, acquisitions: 4 };
  expect(between(leases(held), leases(next))).toEqual([
    { at: 4_500, key: "a", what: "ended", owner: "first", fence: "7" },
    { at: 4_500, key: "a", what: "granted", owner: "second", fence: "9", unseen: 2 },
  ]);
  expect(between(leases(held), leases({ ...next, acquisitions: 2 }))[1]).not.toHaveProperty("unseen");
});

test("a takeover, of what had expired, was orphaned, or had lost its session when it was last seen", () => {
  const next = { key: "a", fence: "9", owner: "second", acquiredAt: 4_500, acquisitions: 2 };
  const taken = { at: 4_500, key: "a", what: "taken over", owner: "second", fence: "9", from: "first" };
  expect(between(leases({ ...held, state: "expired" }), leases(next))).toEqual([taken]);
  expect(between(leases({ ...held, state: "orphaned" }), leases(next))).toEqual([taken]);
  expect(between(leases({ ...held, isSessionAlive: false }), leases(next))).toEqual([taken]);
});

test("what becomes of one that is there", () => {
  const becomes = (state: string) => between(leases(held), leases({ ...held, state }));
  expect(becomes("revoked")).toEqual([{ at: 5_000, key: "a", what: "revoked", owner: "first", fence: "7" }]);
  expect(becomes("expired")).toMatchObject([{ at: 9_000, what: "expired" }]); // when, not when it was seen
  expect(becomes("orphaned")).toMatchObject([{ at: 5_000, what: "orphaned" }]);
  expect(becomes("cooling")).toMatchObject([{ what: "cooling" }]);
  expect(becomes("blocked")).toMatchObject([{ what: "blocked" }]);
  expect(between(leases({ ...held, state: "expired" }), leases(held))).toEqual([]); // renewed after all
  expect(between(leases(held), leases({ ...held, expiresAt: 12_000 }))).toEqual([]);
  expect(between(leases(), leases({ ...held, state: "blocked" }))).toMatchObject([{ what: "blocked" }]);
  expect(between(leases(), leases({ ...held, state: "expired" }))).toEqual([]);
});

test("what is gone, by what it was", () => {
  const goes = (state: string) => between(leases({ ...held, state }), leases());
  expect(goes("revoked")).toMatchObject([{ what: "freed by force" }]);
  expect(goes("expired")).toMatchObject([{ what: "swept" }]);
  expect(goes("orphaned")).toMatchObject([{ what: "swept" }]);
  expect(goes("cooling")).toMatchObject([{ what: "ended" }]);
});

test("those who share a key come and go one by one", () => {
  const one = { key: "a", mode: "shared", fence: "1", owner: "one" };
  const two = { ...one, fence: "2", owner: "two", acquiredAt: 4_000 };
  expect(between(leases(one), leases(one, two))).toMatchObject([{ what: "shared", owner: "two" }]);
  expect(between(leases(one, two), leases(two))).toMatchObject([{ what: "ended", owner: "one" }]);
  // one has left, another has come: neither was because of the other
  expect(between(leases(one), leases(two))).toMatchObject([
    { at: 4_000, what: "shared", owner: "two" },
    { at: 5_000, what: "ended", owner: "one" },
  ]);
});

test("keys are told apart, the oldest event first; the last thousand are kept", () => {
  const history = new History();
  const found = history.compare(
    leases({ ...held, key: "gone" }),
    leases({ ...held, key: "b", acquiredAt: 4_900 }, { ...held, key: "c", acquiredAt: 4_100 }),
    5_000,
  );
  expect(found.map(({ key, what }) => `${key} ${what}`)).toEqual(["c granted", "b granted", "gone ended"]);
  expect(history.events).toEqual(found);
  for (let n = 0; n < 1_200; n += 1) history.compare(leases(), leases({ ...held, fence: String(n) }), n);
  expect(history.events).toHaveLength(1_000);
  expect(history.events.at(-1)?.fence).toBe("1199");
});

test("of a look at which everything has changed the last thousand are told", () => {
  const many = (fence: number) =>
    leases(...Array.from({ length: 100_000 }, (_, n) => ({ key: `k${n}`, fence: `${fence}`, acquiredAt: n })));
  const history = new History();
  const found = history.compare(many(1), many(2), 200_000);
  expect(found).toHaveLength(1_000);
  expect(history.events).toEqual(found);
});
