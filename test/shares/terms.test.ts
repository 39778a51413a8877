// Claims of shares of one key that are sent in one statement: each has its own terms, and its own place in the queue.
import { expect, test } from "vitest";
import { type Asking, acquireRows } from "../support/acts.js";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";

const database = await createDatabase();
const { sql } = database;

/** What each is answered, in the order in which they were asked for. */
async function ask(asked: readonly Asking[]) {
  return sql.unsafe(`select outcome, ticket::text, proof::text from ${acquireRows(asked)} order by item`);
}

test("each is granted on its own terms", async () => {
  const share = { key: "terms", capacity: 10 };
  const [one, two] = [crypto.randomUUID(), crypto.randomUUID()];
  // in no order that would be the same from the end
  const answers = await ask([
    { ...share, token: one, owner: "one", minHoldMs: 1, maxHoldMs: 70_000, metadata: '{"n": 1}', weight: 1 },
    { ...share, owner: "late", notAfterMs: 0, weight: 1 },
    { ...share, owner: "tries", weight: 10 },
    { ...share, token: two, owner: "two", ttlMs: 50_000, minHoldMs: 2, metadata: '{"n": 2}', weight: 2, capacity: 8 },
    { ...share, owner: "waits", weight: 6, waits: true },
  ]);
  const rows = await sql`
    select token, owner, ttl_ms, extract(epoch from expires_at - acquired_at)::int as lasts, min_hold_ms,
           extract(epoch from max_hold_until - acquired_at)::int as at_most, metadata, weight, capacity
      from leasehold.shares where key = 'terms' order by fence`;
  const waiting = await sql`select owner, weight, capacity from leasehold.waiters where key = 'terms'`;
  await sql`delete from leasehold.waiters`;
  await sql`delete from leasehold.shares`;

  expect(answers.map(({ outcome }) => outcome)).toEqual(["granted", "late", "held", "granted", "queued"]);
  const first = {
    token: one,
    owner: "one",
    ttl_ms: 60_000,
    lasts: 60,
    min_hold_ms: 1,
    at_most: 70,
    weight: 1,
    capacity: 10,
  };
  const second = {
    token: two,
    owner: "two",
    ttl_ms: 50_000,
    lasts: 50,
    min_hold_ms: 2,
    at_most: null,
    weight: 2,
    capacity: 8,
  };
  expect(rows).toEqual([
    { ...first, metadata: { n: 1 } },
    { ...second, metadata: { n: 2 } },
  ]);
  expect(waiting).toEqual([{ owner: "waits", weight: 6, capacity: 10 }]);
});

test.each([
  ["a time to live of nothing", { ttlMs: 0 }, {}],
  ["no owner", { owner: null }, {}],
  ["a delay of takeovers below zero", {}, { takeoverMs: -1 }],
])("one with %s is refused, with all of them", async (_, terms, caller) => {
  const share = { key: "refused", weight: 1, capacity: 10 };
  const asked = sql.unsafe(`select from ${acquireRows([share, { ...share, ...terms }], caller)}`);
  await expect(asked).rejects.toMatchObject({ code: "22023" });
});

test("a delay of takeovers of nothing is none below zero", async () => {
  const answers = await sql.unsafe(`
    select outcome from ${acquireRows([{ key: "at once", weight: 1, capacity: 10 }], { takeoverMs: 0 })}`);
  await sql`delete from leasehold.shares`;
  expect(answers).toEqual([{ outcome: "granted" }]);
});

test("in the name of a session that is not alive each is unproven, and none is granted", async () => {
  const share = { key: "unproven", weight: 1, capacity: 10 };
  const session = { id: 4711, nonce: crypto.randomUUID() };
  const answers = await sql.unsafe(
    `select item, outcome from ${acquireRows([share, share], { session })} order by item`,
  );
  const rows = await sql`select from leasehold.shares`;

  expect(answers).toEqual([
    { item: 1, outcome: "unproven" },
    { item: 2, outcome: "unproven" },
  ]);
  expect(rows).toHaveLength(0);
});

test("a share of a key whose first grant is not committed is busy, which is no refusal", async () => {
  const other = await openClient(database.url);
  await other`begin`;
  await other.unsafe(`select from ${acquireRows([{ key: "new", weight: 1, capacity: 10 }])}`);
  const during = await ask([{ key: "new", weight: 1, capacity: 10 }]);
  await other`commit`;
  const after = await ask([{ key: "new", weight: 1, capacity: 10 }]);
  await other.end();
  await sql`delete from leasehold.shares`;

  expect([...during, ...after].map(({ outcome }) => outcome)).toEqual(["busy", "granted"]);
});

test("each that comes back after its entry was lost has its old place, by its own ticket and proof", async () => {
  const [holder] = await ask([{ key: "places", weight: 1, capacity: 1 }]);
  const waiting = [1, 2, 3].map(() => ({
    key: "places",
    token: crypto.randomUUID(),
    weight: 1,
    capacity: 1,
    waits: true,
  }));
  const first = await ask(waiting);
  await sql`delete from leasehold.waiters`; // unlogged: a crash
  const again = await ask(
    waiting.map((one, index) => ({ ...one, ticket: first[index]?.ticket, proof: first[index]?.proof })),
  );
  await sql`delete from leasehold.waiters`;
  // with the proofs of each other nobody has a place
  const forged = await ask(
    waiting.map((one, index) => ({ ...one, ticket: first[index]?.ticket, proof: first[2 - index]?.proof })),
  );
  await sql`delete from leasehold.waiters`;
  await sql`delete from leasehold.shares`;

  expect(holder?.outcome).toBe("granted");
  expect(again).toEqual(first);
  expect(forged.map(({ ticket }, index) => ticket === first[index]?.ticket)).toEqual([false, true, false]);
});
