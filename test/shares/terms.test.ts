// Claims of shares of one key that are sent in one statement: each has its own terms, and its own place in the queue.
import { expect, test } from "vitest";
import { type Asking, acquireRows } from "../support/acts.js";
import { createDatabase } from "../support/database.js";

const database = await createDatabase();
const { sql } = database;

/** What each is answered, in the order in which they were asked for. */
async function ask(asked: readonly Asking[]) {
  return sql.unsafe(`select outcome, ticket::text, proof::text from ${acquireRows(asked)} order by item`);
}

test("each is granted on its own terms", async () => {
  const share = { key: "terms", capacity: 10 };
  const answers = await ask([
    { ...share, owner: "one", ttlMs: 60_000, minHoldMs: 1, maxHoldMs: 70_000, metadata: '{"n": 1}', weight: 1 },
    { ...share, owner: "late", notAfterMs: 0, weight: 1 },
    { ...share, owner: "two", ttlMs: 50_000, minHoldMs: 2, metadata: '{"n": 2}', weight: 2, capacity: 8 },
    { ...share, owner: "tries", weight: 9 },
    { ...share, owner: "waits", weight: 6, waits: true },
  ]);
  const rows = await sql`
    select owner, ttl_ms, extract(epoch from expires_at - acquired_at)::int as lasts, min_hold_ms,
           extract(epoch from max_hold_until - acquired_at)::int as at_most, metadata, weight, capacity
      from leasehold.shares where key = 'terms' order by fence`;
  const waiting = await sql`select owner, weight, capacity from leasehold.waiters where key = 'terms'`;
  await sql`delete from leasehold.waiters`;
  await sql`delete from leasehold.shares`;

  expect(answers.map(({ outcome }) => outcome)).toEqual(["granted", "late", "granted", "held", "queued"]);
  expect(rows).toEqual([
    {
      owner: "one",
      ttl_ms: 60_000,
      lasts: 60,
      min_hold_ms: 1,
      at_most: 70,
      metadata: { n: 1 },
      weight: 1,
      capacity: 10,
    },
    {
      owner: "two",
      ttl_ms: 50_000,
      lasts: 50,
      min_hold_ms: 2,
      at_most: null,
      metadata: { n: 2 },
      weight: 2,
      capacity: 8,
    },
  ]);
  expect(waiting).toEqual([{ owner: "waits", weight: 6, capacity: 10 }]);
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
