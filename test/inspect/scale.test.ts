// What a look costs when there is much to see: told by pages and calls, which do not depend on the machine.
import type postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";

const LEASES = 100_000;
const WAITERS = 5_000;
const SESSIONS = 500;

const database = await createDatabase();
const { sql } = database;
const views = (
  await sql`select relname::text as name from pg_class where relnamespace = 'leasehold'::regnamespace and relkind = 'v' order by 1`
).map(({ name }) => name as string);

/** Every second lease is over; those who wait do so for live ones, four of them for each. */
async function fill(leases: number): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`truncate leasehold.leases, leasehold.waiters, leasehold.sessions`;
    await tx`
      insert into leasehold.sessions (id, nonce, owner, pid, host, application_name, version, started_at, seen_at)
      select n, gen_random_uuid(), 'owner-' || n, n, 'host', '', '0.0.0', clock_timestamp(), clock_timestamp() from generate_series(1, ${SESSIONS}) n`;
    await tx`
      insert into leasehold.leases (key, token, fence, owner, session_id, ttl_ms, takeover_ms, acquired_at, renewed_at, expires_at, acquisitions)
      select 'key-' || n, gen_random_uuid(), n, 'owner-' || n % ${SESSIONS} + 1, n % ${SESSIONS} + 1, 30000, 3600000, clock_timestamp(), clock_timestamp(),
             clock_timestamp() + case when n % 2 = 0 then interval '1 hour' else interval '-1 minute' end, 1
        from generate_series(1, ${leases}) n`;
    await tx`
      insert into leasehold.waiters (key, ticket, token, session_id, owner, enqueued_at, alive_until)
      select 'key-' || 2 * (n / 4 + 1), n, gen_random_uuid(), n % ${SESSIONS} + 1, 'waiter', clock_timestamp(), clock_timestamp() + interval '1 hour'
        from generate_series(1, ${WAITERS}) n`;
  });
  await sql`vacuum analyze leasehold.leases`;
}

/** The pages that a query looks at, those in the functions that it calls included. */
async function pagesOf(query: string): Promise<number> {
  const [row] = await sql.unsafe(`explain (analyze, buffers, timing off, format json) ${query}`);
  const plan: Record<string, number> = row?.["QUERY PLAN"][0].Plan;
  return Number(plan["Shared Hit Blocks"]) + Number(plan["Shared Read Blocks"]);
}

/** How often a query calls each function of ours that reads something. */
async function callsOf(client: postgres.Sql, query: string): Promise<number[]> {
  return client.begin(async (tx) => {
    await tx.unsafe(query);
    const rows = await tx`select calls::int from pg_stat_xact_user_functions where schemaname = 'leasehold_internal'`;
    return rows.map(({ calls }) => calls);
  });
}

async function fastest(query: string): Promise<number> {
  let ms = Number.POSITIVE_INFINITY;
  for (let turn = 0; turn < 5; turn += 1) {
    const start = performance.now();
    await sql.unsafe(`select count(*) from (${query}) counted`);
    ms = Math.min(ms, performance.now() - start);
  }
  return ms;
}

test(`with ${LEASES} leases a view reads the table a few times, and asks for locks and sessions a few times`, async () => {
  expectLeft(database, "leases", "waiters", "sessions");
  await fill(LEASES);
  const client = await openClient(database.url);
  // somebody guards a key: else nobody would have to look for whom
  const guarding = await openClient(database.url);
  onTestFinished(() => guarding.end());
  await guarding.unsafe("begin; select from leasehold.leases where key in ('key-4', 'key-5') for key share");
  await client.unsafe("set track_functions = 'all'");
  const [table] = await sql`select pg_relation_size('leasehold.leases') / 8192 as pages`;

  for (const view of views) {
    const query = `select * from leasehold.${view}`;
    expect(await pagesOf(query), view).toBeLessThan(6 * Number(table?.pages));
    // one for each row would be thousands
    expect(Math.max(0, ...(await callsOf(client, query))), view).toBeLessThanOrEqual(6);
  }
  expect(await sql`select blocking_pid is not null as named from leasehold.expired_leases where key = 'key-5'`).toEqual(
    [{ named: true }],
  );
  await client.end();
});

test("one key is looked up, not searched for", async () => {
  expectLeft(database, "leases", "waiters", "sessions");
  await fill(LEASES);
  const [table] = await sql`select pg_relation_size('leasehold.leases') / 8192 as pages`;
  expect(Number(table?.pages)).toBeGreaterThan(1_000);
  for (const query of [
    "select * from leasehold.active_leases where key = 'key-4000'",
    "select * from leasehold.waiting where key = 'key-1000'",
  ]) {
    expect(await sql.unsafe(query), query).not.toHaveLength(0);
    expect(await pagesOf(query), query).toBeLessThan(300);
  }
});

test("ten times the leases take about ten times as long, not a hundred times", async () => {
  expectLeft(database, "leases", "waiters", "sessions");
  const measure = async () => {
    const times = new Map<string, number>();
    for (const view of views) times.set(view, await fastest(`select * from leasehold.${view}`));
    return times;
  };
  await fill(LEASES / 10);
  const few = await measure();
  await fill(LEASES);
  const many = await measure();
  for (const view of views) expect((many.get(view) ?? 0) / (few.get(view) ?? 1), view).toBeLessThan(40);
});

test("a circle is found among sessions that all wait for all, in a time that grows as the waits do", async () => {
  expectLeft(database, "leases", "waiters", "sessions");
  await fill(SESSIONS);
  /** Each of so many holds two keys, and waits for a key of every other. */
  const crowd = async (size: number) => {
    await sql`delete from leasehold.waiters`;
    await sql`
      insert into leasehold.waiters (key, ticket, token, session_id, owner, enqueued_at, alive_until)
      select 'key-' || 2 * b, a * 1000 + b, gen_random_uuid(), 2 * a + 1, 'waiter', clock_timestamp(), clock_timestamp() + interval '1 hour'
        from generate_series(1, ${size}) a, generate_series(1, ${size}) b where a <> b`;
    const [row] =
      await sql`select count(*)::int as circles, min(cardinality(session_ids)) as least, max(cardinality(session_ids)) as most from leasehold.deadlocks`;
    expect(row).toMatchObject({ least: 2, most: 2 });
    expect(row?.circles).toBeGreaterThanOrEqual(size / 2);
    return fastest("select * from leasehold.deadlocks");
  };
  await sql`update leasehold.leases set expires_at = clock_timestamp() + interval '1 hour'`;
  const few = await crowd(50);
  const many = await crowd(150);
  // nine times the waits
  expect(many / few).toBeLessThan(36);
});
