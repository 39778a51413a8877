// Looks of several claims in one statement: each has its own terms, and those of one key are decided one after the other.
import { afterEach, expect, test } from "vitest";
import { type Asking, acquireRows } from "../support/acts.js";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";

const database = await createDatabase();
const { sql } = database;
afterEach(() => sql`truncate leasehold.leases, leasehold.waiters, leasehold.shares`);

const newToken = () => crypto.randomUUID();

async function ask(asked: readonly Asking[], client = sql) {
  return client.unsafe(
    `select item, outcome, holder, ticket::text, proof::text from ${acquireRows(asked)} order by item`,
  );
}

const outcomes = (answers: Awaited<ReturnType<typeof ask>>) => answers.map(({ outcome }) => outcome);

test("of several keys each is decided by itself, on its own terms", async () => {
  await ask([{ key: "held", owner: "holder" }]);
  const [one, two] = [newToken(), newToken()];
  const answers = await ask([
    { key: "b", token: one, owner: "one", minHoldMs: 1, maxHoldMs: 70_000, metadata: '{"n": 1}' },
    { key: "held", owner: "tries" },
    { key: "late", notAfterMs: 0 },
    { key: "a", token: two, owner: "two", ttlMs: 50_000, minHoldMs: 2, metadata: '{"n": 2}' },
    { key: "held", owner: "waits", waits: true },
  ]);
  const rows = await sql`
    select key, token, owner, ttl_ms, extract(epoch from expires_at - acquired_at)::int as lasts, min_hold_ms,
           extract(epoch from max_hold_until - acquired_at)::int as at_most, metadata
      from leasehold.leases where key in ('a', 'b') order by key`;
  const waiting = await sql`select key, owner from leasehold.waiters`;

  expect(outcomes(answers)).toEqual(["granted", "held", "late", "granted", "queued"]);
  expect(answers[1]?.holder).toBe("holder");
  const first = { key: "a", token: two, owner: "two", ttl_ms: 50_000, lasts: 50, min_hold_ms: 2, at_most: null };
  const second = { key: "b", token: one, owner: "one", ttl_ms: 60_000, lasts: 60, min_hold_ms: 1, at_most: 70 };
  expect(rows).toEqual([
    { ...first, metadata: { n: 2 } },
    { ...second, metadata: { n: 1 } },
  ]);
  expect(waiting).toEqual([{ key: "held", owner: "waits" }]);
});

test("those that wait for one key stand in the order in which they ask, each by its own token", async () => {
  await ask([{ key: "a" }]);
  const waiting = ["one", "two", "three", "four"].map((owner) => ({ key: "a", token: newToken(), owner, waits: true }));
  const answers = await ask(waiting);
  const entries = await sql`select owner, token, ticket::text from leasehold.waiters order by waiters.ticket`;

  expect(outcomes(answers)).toEqual(["queued", "queued", "queued", "queued"]);
  expect(entries).toEqual(waiting.map(({ owner, token }, index) => ({ owner, token, ticket: answers[index]?.ticket })));
});

test("each that comes back after its entry was lost has its old place, by its own ticket and proof", async () => {
  await ask([{ key: "a" }]);
  const waiting = [1, 2, 3, 4].map(() => ({ key: "a", token: newToken(), waits: true }));
  const first = await ask(waiting);
  await sql`delete from leasehold.waiters`; // unlogged: a crash
  const again = await ask(waiting.map((one, at) => ({ ...one, ticket: first[at]?.ticket, proof: first[at]?.proof })));
  await sql`delete from leasehold.waiters`;
  const forged = await ask(
    waiting.map((one, at) => ({ ...one, ticket: first[at]?.ticket, proof: first[3 - at]?.proof })),
  );

  expect(again).toEqual(first);
  expect(forged.map(({ ticket }, at) => ticket === first[at]?.ticket)).toEqual([false, false, false, false]);
});

test("behind those that wait for it, a key's holder who asks again is granted it again, and one that is too late is told so", async () => {
  const token = newToken();
  const share = { key: "shared", weight: 1, capacity: 2 };
  await ask([{ key: "a", token }, { key: "z" }, share]);
  const answers = await ask([
    { key: "a", waits: true, owner: "first" },
    { key: "a", waits: true, owner: "second" },
    { key: "a", token, waits: true },
    { key: "a", waits: true, notAfterMs: 0 },
    { key: "a" },
    share,
    { key: "z", waits: true, owner: "third" },
    { key: "z", waits: true, owner: "fourth" },
    { key: "zz", waits: true },
  ]);
  const entries = await sql`select key, owner from leasehold.waiters order by key, ticket`;

  const ofA = ["queued", "queued", "granted", "late", "held"];
  expect(outcomes(answers)).toEqual([...ofA, "granted", "queued", "queued", "granted"]);
  expect(entries).toEqual([
    { key: "a", owner: "first" },
    { key: "a", owner: "second" },
    { key: "z", owner: "third" },
    { key: "z", owner: "fourth" },
  ]);
});

test("who is next is granted the key, also behind one that came later", async () => {
  const head = newToken();
  const [holder] = await ask([{ key: "a" }]);
  const [waiting] = await ask([{ key: "a", token: head, waits: true }]);
  await sql`update leasehold.leases set token = null, session_id = null, released_at = now()`;
  const answers = await ask([
    { key: "a", waits: true },
    { key: "a", token: head, waits: true, ticket: waiting?.ticket, proof: waiting?.proof },
  ]);

  expect([holder?.outcome, waiting?.outcome]).toEqual(["granted", "queued"]);
  expect(outcomes(answers)).toEqual(["queued", "granted"]);
});

test("who wants a share of a key waits for that share, behind one that wants the key alone", async () => {
  await ask([{ key: "a" }]);
  const answers = await ask([
    { key: "a", owner: "alone", waits: true },
    { key: "a", owner: "share", waits: true, weight: 2, capacity: 5 },
  ]);
  const entries = await sql`select owner, weight, capacity from leasehold.waiters order by ticket`;

  expect(outcomes(answers)).toEqual(["queued", "queued"]);
  expect(entries).toEqual([
    { owner: "alone", weight: null, capacity: null },
    { owner: "share", weight: 2, capacity: 5 },
  ]);
});

test("more than 1,000 are refused, and so is a share in a transaction that is repeatable read", async () => {
  const client = await openClient(database.url);
  const codeOf = (error: { code?: string }) => error.code;
  const tooMany = await ask(Array.from({ length: 1_001 }, (_, n) => ({ key: `many ${n}` }))).catch(codeOf);
  await client`begin isolation level repeatable read`;
  const unseen = await ask([{ key: "a", weight: 1, capacity: 2 }], client).catch(codeOf);
  await client`rollback`;
  await client.end();

  expect([tooMany, unseen]).toEqual(["LH003", "LH004"]);
});

const share = { weight: 1, capacity: 2 };
test.each<[string, string, readonly Asking[]]>([
  ["a grant", "on", [{ key: "a" }, { key: "b", waits: true }]],
  ["no grant", "off", [{ key: "b", waits: true }]],
  [
    "a grant of a share",
    "on",
    [
      { key: "a", ...share },
      { key: "b", waits: true },
    ],
  ],
  [
    "a grant of a share, a refusal of another and one that is late",
    "on",
    [
      { key: "a", ...share },
      { key: "a", weight: 9, capacity: 9 },
      { key: "z", notAfterMs: 0 },
    ],
  ],
  [
    "no grant of a share",
    "off",
    [
      { key: "b", ...share, waits: true },
      { key: "z", notAfterMs: 0 },
    ],
  ],
])(
  "who asks waits for the disk when there was a grant, whatever the look behind it was: %s",
  async (_, expected, asked) => {
    const client = await openClient(database.url);
    await ask([{ key: "b" }]);
    await client`begin`;
    await ask(asked, client);
    const [setting] = await client`select current_setting('synchronous_commit') as wait`;
    await client`commit`;
    await client.end();

    expect(setting?.wait).toBe(expected);
  },
);
