// The fast path reads the rows of its own keys, by their index: beside 100,000 other leases, whatever the statistics say of them, and
// beside old versions of a row that a transaction somewhere keeps.
import type postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import { acquireFirst, releaseBatch, renewBatch } from "../support/batches.js";
import { openClient } from "../support/client.js";
import { createDatabase, type TestDatabase } from "../support/database.js";

const fill = `insert into leasehold.leases (key, fence, ttl_ms, released_at)
  select 'other ' || i, 1, 0, clock_timestamp() from generate_series(1, 100000) i`;
const statistics: Readonly<Record<string, readonly string[]>> = {
  known: [fill, "vacuum analyze leasehold.leases"],
  unknown: [fill],
  // pages without a row: all others are taken for such ones
  "of an empty table": [fill, "truncate leasehold.leases", "vacuum analyze leasehold.leases", fill],
  "of a table of one key": [
    "insert into leasehold.leases (key, fence, ttl_ms) select 'one', 1, 0",
    "vacuum analyze leasehold.leases",
    fill,
  ],
};

interface Reads {
  readonly rows: number;
  readonly scans: number;
}

/** What the transaction has read of a table, by its index or not. */
async function reads(sql: postgres.TransactionSql, table: string): Promise<Reads> {
  const [row] = await sql`
    select (seq_tup_read + idx_tup_fetch)::int as rows, seq_scan::int as scans
      from pg_stat_xact_user_tables where relid = ${`leasehold.${table}`}::regclass`;
  return { rows: row?.rows, scans: row?.scans };
}

async function readsOf<T>(
  database: TestDatabase,
  table: string,
  act: (sql: postgres.TransactionSql) => Promise<T>,
): Promise<{ readonly read: Reads; readonly result: T }> {
  const [read, result] = await database.sql.begin(async (sql) => {
    const before = await reads(sql, table);
    const result = await act(sql);
    const after = await reads(sql, table);
    return [{ rows: after.rows - before.rows, scans: after.scans - before.scans }, result] as const;
  });
  return { read, result: result as T };
}

test.for(
  Object.entries(statistics).flatMap(([what, prepare]) => [1, 100].map((count) => [what, count, prepare] as const)),
)("with statistics that are %s, a batch of %s reads its own rows", async ([, count, prepare]) => {
  await using database = await createDatabase();
  for (const statement of prepare) await database.sql.unsafe(statement);
  const keys = Array.from({ length: count }, (_, n) => `own ${n}`);
  const dear: Record<string, Reads> = {};
  const note = (what: string, read: Reads) => {
    if (read.rows > count * 20 || read.scans > 0) dear[what] = read;
  };

  // Twice: the second turn finds the keys' rows, and the plans that the first has made.
  for (const turn of ["first", "second"]) {
    const acquired = await readsOf(database, "leases", (sql) => acquireFirst(sql, keys));
    expect(acquired.result.every(({ isPlain }) => isPlain)).toBe(true);
    note(`${turn} acquire`, acquired.read);
    const failed = await readsOf(database, "leases", (sql) => acquireFirst(sql, keys));
    expect(failed.result.every(({ outcome }) => outcome === "held")).toBe(true);
    note(`${turn} try of what is held`, failed.read);
    const renewed = await readsOf(database, "leases", (sql) => renewBatch(sql, acquired.result, { ttlMs: 90_000 }));
    expect(renewed.result.every(({ isPlain }) => isPlain)).toBe(true);
    note(`${turn} renewal`, renewed.read);
    const released = await readsOf(database, "leases", (sql) => releaseBatch(sql, acquired.result));
    expect(released.result.every(({ outcome }) => outcome === "released")).toBe(true);
    note(`${turn} release`, released.read);
    const gone = await readsOf(database, "leases", (sql) => releaseBatch(sql, acquired.result));
    expect(gone.result.every(({ outcome }) => outcome === "gone")).toBe(true);
    note(`${turn} release of what is gone`, gone.read);
  }

  expect(dear).toEqual({});
});

test("the head of a queue of 3,000 is found by index where the queue was counted while it was empty", async () => {
  await using database = await createDatabase();
  const [held] = await acquireFirst(database.sql, ["hot"], { ttlMs: 3_600_000 });
  const [head] = await acquireFirst(database.sql, ["hot"], { waits: true });
  if (held === undefined || head === undefined) throw new Error("no answer");
  const fillQueue = `insert into leasehold.waiters (key, ticket, token, owner, enqueued_at, alive_until)
    select 'hot', ${head.ticket} + i, gen_random_uuid(), 'other', now(), now() + interval '1 hour' from generate_series(1, 3000) i`;
  for (const statement of [
    "select setval('leasehold.tickets', 1000000)",
    fillQueue,
    "delete from leasehold.waiters where owner = 'other'",
    "vacuum analyze leasehold.waiters",
    fillQueue,
  ])
    await database.sql.unsafe(statement);
  const turns = [];

  for (const [what, act] of [
    ["a look of the head", (sql: postgres.TransactionSql) => acquireFirst(sql, [head], { waits: true })],
    ["a look from behind", (sql: postgres.TransactionSql) => acquireFirst(sql, ["hot"], { waits: true })],
    ["the release", (sql: postgres.TransactionSql) => releaseBatch(sql, [held])],
    ["the head's turn", (sql: postgres.TransactionSql) => acquireFirst(sql, [head], { waits: true })],
  ] as const) {
    const { read, result } = await readsOf<readonly { readonly outcome: string }[]>(database, "waiters", act);
    turns.push([what, result[0]?.outcome, read.rows <= 30 && read.scans === 0 ? "few" : read]);
  }

  expect(turns).toEqual([
    ["a look of the head", "queued", "few"],
    ["a look from behind", "queued", "few"],
    ["the release", "released", "few"],
    ["the head's turn", "granted", "few"],
  ]);
});

const VERSIONS = 4_000;

test.for([1, 3])(
  `beside ${VERSIONS} old versions of each row, a batch of %s is acquired and released as before`,
  async (count) => {
    await using database = await createDatabase();
    const old = await openClient(database.url);
    onTestFinished(() => old.end());
    const client = await openClient(database.url);
    onTestFinished(() => client.end());
    const keys = Array.from({ length: count }, (_, n) => `hot ${n}`);
    const array = `array['${keys.join("','")}']`;
    const tokens = `array['${keys.map(() => crypto.randomUUID()).join("','")}']::uuid[]`;
    // What is measured is what the client calls, not what it sends.
    await client.unsafe(`
    create function take(expected text) returns text language plpgsql as $$
    declare got record;
    begin
      select * into strict got from leasehold_internal.acquire_first(
        p_session => null, p_nonce => null, p_takeover_ms => 0, p_owner => 'me', p_ttl_ms => 60000, p_min_hold_ms => 0, p_max_hold_ms => null,
        p_metadata => null, p_waits => false, p_not_after => 'infinity', p_keys => ${array},
        p_tokens => case expected when 'granted' then ${tokens} else array(select gen_random_uuid() from unnest(${array})) end, p_former => null);
      if (got.others is null) <> (expected = 'granted') then raise 'not %: %', expected, got.others; end if;
      return got.fences;
    end $$;
    create function give(fences text) returns void language plpgsql as $$
    declare got record;
    begin
      select * into strict got from leasehold_internal.release(
        p_relaxed => true, p_keys => ${array}, p_tokens => ${tokens}, p_fences => string_to_array(fences, ',')::bigint[]);
      if got.others is not null then raise 'not released: %', got.others; end if;
    end $$;
    create function cycle() returns void language plpgsql as $$
    declare fences text := take('granted');
    begin
      -- A batch goes through the old versions of what is held: to look for the newest one first would cost all others more.
      ${count === 1 ? "perform take('held');" : ""}
      perform give(fences);
    end $$`);
    /** The least pages that a cycle looks at: some of them have to find room for the next version. */
    const pages = async (): Promise<number> => {
      const counts: number[] = [];
      for (let turn = 0; turn < 10; turn += 1) {
        const [row] = await client.unsafe("explain (analyze, buffers, timing off, format json) select cycle()");
        const plan = row?.["QUERY PLAN"][0].Plan;
        counts.push(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]);
      }
      return Math.min(...counts);
    };
    const few = await pages();

    await old.unsafe("begin isolation level repeatable read; select 1");
    await client.unsafe(`do $$ begin for n in 1 .. ${VERSIONS / 2} loop perform cycle(); commit; end loop; end $$`);
    const many = await pages();

    const [table] = await database.sql`select (pg_relation_size('leasehold.leases') / 8192)::int as pages`;
    expect(table?.pages).toBeGreaterThan(50 * count);
    // Each step that went through the old versions would look at all pages of its row.
    expect(many - few).toBeLessThan(table?.pages / 2);
  },
);
