// What a look costs when there is much to see: told by rows, pages, calls and the server's own processor time. None of them depends
// on how busy the machine is, and each bound leaves room for any plan but one that does something anew for each row.
import type postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openMetered } from "../support/processor-time.js";

const LEASES = 100_000;
const WAITERS = 5_000;
const SESSIONS = 500;
/** Of one key, which as many wait for. */
const SHARES = 1_000;

const database = await createDatabase();
const { sql } = database;
const views = (
  await sql`select relname::text as name from pg_class where relnamespace = 'leasehold'::regnamespace and relkind = 'v' order by 1`
).map(({ name }) => name as string);

/**
 * Every second lease has expired; those who wait do so for live ones, four of them for each. Besides, a tenth as many keys have two shares each,
 * and one has many, and many who wait for it.
 */
async function fill(leases: number): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`truncate leasehold.leases, leasehold.shares, leasehold.waiters, leasehold.sessions`;
    await tx`
      insert into leasehold.sessions (id, nonce, owner, pid, host, application_name, version, started_at, seen_at)
      select n, gen_random_uuid(), 'owner-' || n, n, 'host', '', '0.0.0', clock_timestamp(), clock_timestamp() from generate_series(1, ${SESSIONS}) n`;
    await tx`
      insert into leasehold.leases (key, token, fence, owner, session_id, ttl_ms, takeover_ms, acquired_at, renewed_at, expires_at, acquisitions)
      select 'key-' || n, gen_random_uuid(), n, 'owner-' || n % ${SESSIONS} + 1, n % ${SESSIONS} + 1, 30000, 3600000, clock_timestamp(), clock_timestamp(),
             clock_timestamp() + case when n % 2 = 0 then interval '1 hour' else interval '-1 minute' end, 1
        from generate_series(1, ${leases}) n`;
    await tx`
      insert into leasehold.leases (key, fence, ttl_ms, queued, acquired_at, released_at)
      select 'shared-' || n, 1, 30000, true, clock_timestamp(), clock_timestamp() from generate_series(1, ${leases / 10}) n`;
    await tx`
      insert into leasehold.shares (key, token, fence, weight, owner, session_id, ttl_ms, takeover_ms, min_hold_ms, acquired_at, renewed_at, expires_at)
      select 'shared-' || case when n > ${leases / 5} then 1 else n / 2 + 1 end, gen_random_uuid(), n, 1, 'owner-' || n % ${SESSIONS} + 1, n % ${SESSIONS} + 1,
             30000, 3600000, 0, clock_timestamp(), clock_timestamp(), clock_timestamp() + interval '1 hour'
        from generate_series(1, ${leases / 5 + SHARES}) n`;
    await tx`
      insert into leasehold.waiters (key, ticket, token, session_id, owner, enqueued_at, alive_until)
      select 'shared-1', 1000000 + n, gen_random_uuid(), n % ${SESSIONS} + 1, 'waiter', clock_timestamp(), clock_timestamp() + interval '1 hour'
        from generate_series(1, ${SHARES}) n`;
    await tx`
      insert into leasehold.waiters (key, ticket, token, session_id, owner, enqueued_at, alive_until)
      select 'key-' || 2 * (n / 4 + 1), n, gen_random_uuid(), n % ${SESSIONS} + 1, 'waiter', clock_timestamp(), clock_timestamp() + interval '1 hour'
        from generate_series(1, ${WAITERS}) n`;
  });
  await sql`vacuum analyze leasehold.leases, leasehold.shares`;
}

/** The pages that a query looks at, those in the functions that it calls included. */
async function pagesOf(query: string): Promise<number> {
  const { "Shared Hit Blocks": hit, "Shared Read Blocks": read } = await planOf(query);
  return Number(hit) + Number(read);
}

interface Plan {
  readonly [name: string]: unknown;
  readonly Plans?: readonly Plan[];
}

async function planOf(query: string): Promise<Plan> {
  const [row] = await sql.unsafe(`explain (analyze, buffers, timing off, format json) ${query}`);
  return row?.["QUERY PLAN"][0].Plan;
}

/** The rows that all steps of a plan make or drop together: a join that looks at each pair shows here, also where nothing is read. */
function rowsOf(plan: Plan): number {
  const names = [
    "Actual Rows",
    "Rows Removed by Filter",
    "Rows Removed by Join Filter",
    "Rows Removed by Index Recheck",
  ];
  const own = names.reduce((sum, name) => sum + Number(plan[name] ?? 0), 0) * Number(plan["Actual Loops"]);
  return own + (plan.Plans ?? []).reduce((sum, step) => sum + rowsOf(step), 0);
}

/** The largest number of times that a query calls a function of ours, and the rows of our tables that it reads, there included. */
async function workOf(client: postgres.Sql, query: string): Promise<{ calls: number; read: number }> {
  // Counters go on from transaction to transaction until the server collects them, a second apart at least.
  return client.begin(async (tx) => {
    const count = async () => {
      const calls =
        await tx`select funcname as name, calls::int from pg_stat_xact_user_functions where schemaname = 'leasehold_internal'`;
      const [read] = await tx`
        select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::float8 as rows from pg_stat_xact_user_tables where schemaname = 'leasehold'`;
      return { calls: new Map(calls.map(({ name, calls }) => [name as string, calls as number])), read: read?.rows };
    };
    const before = await count();
    await tx.unsafe(query);
    const after = await count();
    const calls = [...after.calls].map(([name, count]) => count - (before.calls.get(name) ?? 0));
    return { calls: Math.max(0, ...calls), read: after.read - before.read };
  });
}

/** Milliseconds of processor time of a query, on the server: the least of some. */
async function processorTimeOf(query: string): Promise<number> {
  await using client = await openMetered(database.url);
  const times: number[] = [];
  for (let turn = 0; turn < 3; turn += 1) times.push(await client.timeOf(`select count(*) from (${query}) counted`));
  return Math.min(...times);
}

for (const leases of [LEASES / 10, LEASES]) {
  test(`with ${leases} leases a view does a few things for each row, and asks for locks and sessions a few times`, async () => {
    expectLeft(database, "leases", "shares", "waiters", "sessions");
    await fill(leases);
    const client = await openClient(database.url);
    // somebody guards a key: else nobody would have to look for whom
    const guarding = await openClient(database.url);
    onTestFinished(() => guarding.end());
    await guarding.unsafe(
      "begin; select from leasehold.leases where key in ('key-4', 'key-5') for key share; select from leasehold.shares where fence in (4, 5) for key share",
    );
    await client.unsafe("set track_functions = 'all'");
    const rows = 1.3 * leases + WAITERS + SESSIONS + 2 * SHARES;

    for (const view of views) {
      const query = `select * from leasehold.${view}`;
      const { calls, read } = await workOf(client, query);
      // one for each row would be thousands
      expect(calls, view).toBeLessThan(50);
      expect(read, view).toBeLessThan(20 * rows);
      const plan = await planOf(query);
      // for each pair of a lease and a waiter it would be more; deadlocks looks at all waits for each session that is in a cycle
      const pairs = view === "deadlocks" ? SESSIONS * WAITERS : 0;
      expect(rowsOf(plan), view).toBeLessThan(50 * rows + 10 * pairs);
      expect(Number(plan["Shared Hit Blocks"]) + Number(plan["Shared Read Blocks"]), view).toBeLessThan(20 * rows);
    }
    expect(
      await sql`select blocking_pid is not null as named from leasehold.active_leases where key = 'key-5' or fence = 4 and mode = 'shared'`,
    ).toEqual([{ named: true }, { named: true }]);
    await client.end();
  });
}

test("one key is looked up, not searched for", async () => {
  expectLeft(database, "leases", "shares", "waiters", "sessions");
  await fill(LEASES);
  // also while somebody guards a key
  const guarding = await openClient(database.url);
  onTestFinished(() => guarding.end());
  await guarding.unsafe("begin; select from leasehold.leases where key = 'key-4' for key share");
  const [table] = await sql`select pg_relation_size('leasehold.leases') / 8192 as pages`;
  expect(Number(table?.pages)).toBeGreaterThan(1_000);
  for (const query of [
    "select * from leasehold.active_leases where key = 'key-4000'",
    "select * from leasehold.expired_leases where key = 'key-4001'",
    "select * from leasehold.waiting where key = 'key-1000'",
    "select * from leasehold.active_leases where key = 'shared-4000'",
  ]) {
    expect(await sql.unsafe(query), query).not.toHaveLength(0);
    expect(await pagesOf(query), query).toBeLessThan(300);
  }
});

test("a cycle is found among sessions that all wait for all, in a time that grows as the waits do", async () => {
  expectLeft(database, "leases", "shares", "waiters", "sessions");
  await fill(SESSIONS);
  /** Each of so many holds two keys, and waits for a key of every other. */
  const crowd = async (size: number) => {
    await sql`delete from leasehold.waiters`;
    await sql`delete from leasehold.shares`;
    await sql`
      insert into leasehold.waiters (key, ticket, token, session_id, owner, enqueued_at, alive_until)
      select 'key-' || 2 * b, a * 1000 + b, gen_random_uuid(), 2 * a + 1, 'waiter', clock_timestamp(), clock_timestamp() + interval '1 hour'
        from generate_series(1, ${size}) a, generate_series(1, ${size}) b where a <> b`;
    const [row] =
      await sql`select count(*)::int as cycles, min(cardinality(session_ids)) as least, max(cardinality(session_ids)) as most from leasehold.deadlocks`;
    expect(row).toMatchObject({ least: 2, most: 2 });
    expect(row?.cycles).toBeGreaterThanOrEqual(size / 2);
    return processorTimeOf("select * from leasehold.deadlocks");
  };
  await sql`update leasehold.leases set expires_at = clock_timestamp() + interval '1 hour'`;
  const few = await crowd(50);
  const many = await crowd(150);
  // nine times the waits
  expect(many / few).toBeLessThan(36);
});
