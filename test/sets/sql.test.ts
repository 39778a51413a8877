// The function behind sets, called as a client calls it.
import { randomUUID } from "node:crypto";
import type postgres from "postgres";
import { afterEach, expect, test } from "vitest";
import { openClient } from "../support/client.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase } from "../support/database.js";

const database = await createDatabase();
const { sql } = database;

afterEach(async () => {
  await sql`update leasehold.leases set token = null, released_at = clock_timestamp()`;
});

interface Call {
  readonly keys: readonly string[];
  readonly tokens?: readonly string[];
  readonly prefix?: boolean;
  readonly careful?: boolean;
  readonly notAfterMs?: number;
  readonly ttlMs?: number;
  readonly db?: postgres.ISql;
}

async function acquireAll({
  keys,
  tokens,
  prefix = false,
  careful = false,
  notAfterMs = 9e15,
  ttlMs = 60_000,
  db = sql,
}: Call) {
  const given = tokens ?? keys.map(() => randomUUID());
  const rows = await db`
    select item, outcome, fence::float8, expires from leasehold_internal.acquire_all(
      null, null, null, 'me', ${ttlMs}, 0, null, null, ${prefix}, ${careful}, ${notAfterMs}::float8,
      ${`{${keys.join()}}`}::text::text[], ${`{${given.join()}}`}::text::uuid[], null)
     order by item`;
  return rows.map((row) => ({ ...row }) as unknown as { item: number; outcome: string; fence: number });
}

const outcomes = (rows: readonly { item: number; outcome: string }[]) =>
  rows.map(({ item, outcome }) => [item, outcome]);

test("a prefix is what can be granted before the first key that cannot", async () => {
  await acquireAll({ keys: ["p3"] });
  const none = await acquireAll({ keys: ["p1", "p2", "p3", "p4"] });
  const some = await acquireAll({ keys: ["p1", "p2", "p3", "p4"], prefix: true });
  const [row] = await sql`select count(*)::int from leasehold.leases where key = 'p4' and token is not null`;
  expect(outcomes(none)).toEqual([[3, "held"]]);
  expect(outcomes(some)).toEqual([
    [1, "granted"],
    [2, "granted"],
    [3, "held"],
  ]);
  expect(row?.count).toBe(0);
});

test("what was shared is busy while a transaction keeps a share that has ended, and held while one has not", async () => {
  await sql`insert into leasehold.leases (key, fence, ttl_ms, released_at, queued) values ('s1', 2, 0, now(), true)`;
  await sql`insert into leasehold.shares (key, token, fence, weight, owner, ttl_ms, min_hold_ms, acquired_at, renewed_at, expires_at)
    select 's1', gen_random_uuid(), i, 1, 'reader', 1000, 0, now(), now(), now() - interval '1 ms' from generate_series(1, 2) i`;
  const seen: unknown[] = [];
  await database.sql.begin(async (tx) => {
    await tx`select from leasehold.shares where key = 's1' for key share`;
    const client = await openClient(database.url);
    seen.push(outcomes(await acquireAll({ keys: ["s1"], db: client })));
    await client.end();
    await tx`update leasehold.shares set expires_at = 'infinity' where key = 's1' and fence = 2`;
  });
  seen.push(outcomes(await acquireAll({ keys: ["s1"] })));
  await sql`delete from leasehold.shares where key = 's1'`;
  seen.push(outcomes(await acquireAll({ keys: ["s1"] })));
  expect(seen).toEqual([[[1, "busy"]], [[1, "held"]], [[1, "granted"]]]);
});

test("what is locked is busy, and nothing is granted beside it, or what comes before it", async () => {
  await acquireAll({ keys: ["b1", "b2", "b3"], ttlMs: 1 });
  const seen: unknown[] = [];
  await database.sql.begin(async (tx) => {
    await tx`select from leasehold.leases where key = 'b2' for key share`;
    const client = await openClient(database.url);
    seen.push(outcomes(await acquireAll({ keys: ["b1", "b2", "b3"], db: client })));
    const [row] = await client`select count(*)::int from leasehold.leases where key like 'b_' and acquisitions > 1`;
    seen.push(row?.count);
    seen.push(outcomes(await acquireAll({ keys: ["b1", "b2", "b3"], prefix: true, db: client })));
    await client.end();
  });
  expect(seen).toEqual([
    [[2, "busy"]],
    0,
    [
      [1, "granted"],
      [2, "busy"],
    ],
  ]);
});

test("a key whose first grant is not committed is busy, and is not waited for", async () => {
  const client = await openClient(database.url);
  const seen: unknown[] = [];
  await database.sql.begin(async (tx) => {
    await acquireAll({ keys: ["v1"], db: tx });
    seen.push(outcomes(await acquireAll({ keys: ["v0", "v1", "v2"], db: client })));
  });
  await client.end();
  expect(seen).toEqual([[[2, "busy"]]]);
});

test("more than a hundred new keys beside one whose insert is not committed are inserted one by one, and that one is busy", async () => {
  const keys = Array.from({ length: 150 }, (_, index) => `u${String(index).padStart(3, "0")}`);
  const client = await openClient(database.url);
  const seen: unknown[] = [];
  await database.sql.begin(async (tx) => {
    await tx`insert into leasehold.leases (key, fence, ttl_ms) values ('u120', 0, 0)`;
    for (let round = 0; round < 3; round += 1) {
      seen.push((await acquireAll({ keys, careful: true, db: client })).map(({ item, outcome }) => [item, outcome]));
    }
  });
  await client.end();
  expect(seen).toEqual([[[null, "more"]], [[121, "busy"]], [[121, "busy"]]]);
});

test("asked again with the same tokens it is the same grants", async () => {
  const tokens = [randomUUID(), randomUUID()];
  const first = await acquireAll({ keys: ["r1", "r2"], tokens });
  const again = await acquireAll({ keys: ["r1", "r2"], tokens });
  const more = await acquireAll({ keys: ["r1", "r2", "r3"], tokens: [...tokens, randomUUID()] });
  const rows = await sql`select distinct acquisitions::int from leasehold.leases where key like 'r_'`;
  expect(again).toEqual(first);
  expect(more.slice(0, 2)).toEqual(first);
  expect(outcomes(more)).toHaveLength(3);
  expect(rows).toEqual([{ acquisitions: 1 }]);
});

test("one that comes after its time does nothing, also when it was late only once it had the locks", async () => {
  const late = await acquireAll({ keys: ["l1", "l2"], notAfterMs: 1 });
  await acquireAll({ keys: ["l1", "l2"], ttlMs: 1 });
  // Fires when the rows are locked: an insert of a new key beside them is what takes its time.
  await sql.unsafe(`create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.5); return new; end $$;
    create trigger slow before insert on leasehold.leases for each row execute function slow()`);
  const [clock] = await sql`select extract(epoch from clock_timestamp())::float8 * 1000 as now`;
  const slow = await acquireAll({ keys: ["l1", "l2", "l3"], notAfterMs: Number(clock?.now) + 300 });
  await sql.unsafe("drop trigger slow on leasehold.leases; drop function slow()");
  const rows = await sql`select key, acquisitions::int from leasehold.leases where key like 'l_' order by key`;
  expect(late.map(({ outcome }) => outcome)).toEqual(["late"]);
  expect(slow.map(({ outcome }) => outcome)).toEqual(["late"]);
  expect(rows.map(({ acquisitions }) => acquisitions)).toEqual([1, 1, 0]);
});

test("more than a hundred new keys are inserted a hundred at a time, and granted together", async () => {
  const keys = Array.from({ length: 250 }, (_, index) => `n${String(index).padStart(3, "0")}`);
  const tokens = keys.map(() => randomUUID());
  const seen: unknown[] = [];
  for (let round = 0; round < 4; round += 1) {
    const rows = await acquireAll({ keys, tokens });
    const [row] =
      await sql`select count(*)::int as rows, count(token)::int as held from leasehold.leases where key like 'n___'`;
    seen.push([rows[0]?.outcome, rows.length, row?.rows, row?.held]);
  }
  expect(seen).toEqual([
    ["more", 1, 100, 0],
    ["more", 1, 200, 0],
    ["granted", 250, 250, 250],
    ["granted", 250, 250, 250],
  ]);
});

test("20 keys are one durable commit", async () => {
  const cluster = await startCluster({
    settings: { autovacuum: "off", wal_writer_delay: "10s", checkpoint_timeout: "1h" },
  });
  try {
    const quiet = await createDatabase({ on: cluster });
    const keys = Array.from({ length: 20 }, (_, index) => `c${index}`);
    const at = async () => {
      const [row] = await quiet.sql`
        select (pg_current_wal_insert_lsn() - '0/0')::float8 as inserted, (pg_current_wal_flush_lsn() - '0/0')::float8 as flushed,
               pg_snapshot_xmax(pg_current_snapshot())::text::float8 as transactions`;
      return {
        inserted: Number(row?.inserted),
        flushed: Number(row?.flushed),
        transactions: Number(row?.transactions),
      };
    };
    await quiet.sql`set synchronous_commit = off`;
    const before = await at();
    const rows = await acquireAll({ keys, db: quiet.sql });
    const after = await at();
    expect(rows).toHaveLength(20);
    expect(after.transactions - before.transactions).toBe(1);
    expect(after.flushed).toBe(after.inserted);
    expect(after.inserted).toBeGreaterThan(before.inserted);
  } finally {
    await cluster.destroy();
  }
});

test("a statement takes 1,000 keys at most, and a token for each", async () => {
  const keys = Array.from({ length: 1_001 }, (_, index) => `t${index}`);
  await expect(acquireAll({ keys })).rejects.toMatchObject({ code: "LH003" });
  await expect(acquireAll({ keys: ["t1", "t2"], tokens: [randomUUID()] })).rejects.toMatchObject({ code: "22023" });
});
