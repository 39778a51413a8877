// 20 sweepers at once over 100,000 rows, while lockers go on.
import { expect, test } from "vitest";
import type { Locker } from "../../src/index.js";
import { startWorker } from "../support/child.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";
import type { Swept } from "./sweepers.js";

const file = new URL("./sweepers.ts", import.meta.url);
const SWEEPERS = 20;
const LIVE = 40_000;
const FRESH = 10_000;
const FREE = 40_000;
const EXPIRED = 10_000;
const STALE_WAITERS = 5_000;
const DEAD_SESSIONS = 1_000;
/** Cycles for each of the two measurements. */
const CYCLES = 600;

test("20 sweepers at once over 100,000 rows purge what has ended, touch no live lease, hold up no acquire, and finish", {
  timeout: 600_000,
}, async () => {
  const database = await createDatabase();
  const { sql } = database;
  await sql.unsafe(`
    insert into leasehold.leases (key, token, fence, owner, session_id, ttl_ms, expires_at)
      select 'live ' || i, gen_random_uuid(), nextval('leasehold.fences'), 'holder', case when i % 4 = 0 then i end, 30000,
             clock_timestamp() + interval '1 hour'
        from generate_series(1, ${LIVE}) i;
    insert into leasehold.leases (key, fence, ttl_ms, released_at)
      select 'fresh ' || i, nextval('leasehold.fences'), 30000, clock_timestamp() from generate_series(1, ${FRESH}) i;
    insert into leasehold.leases (key, fence, ttl_ms, released_at)
      select 'free ' || i, nextval('leasehold.fences'), 30000, clock_timestamp() - interval '1 hour' from generate_series(1, ${FREE}) i;
    insert into leasehold.leases (key, token, fence, owner, session_id, ttl_ms, expires_at)
      select 'expired ' || i, gen_random_uuid(), nextval('leasehold.fences'), 'gone', -i, 30000, clock_timestamp() - interval '1 hour'
        from generate_series(1, ${EXPIRED}) i;
    insert into leasehold.waiters (key, ticket, token, owner, enqueued_at, alive_until)
      select 'fresh ' || i, nextval('leasehold.tickets'), gen_random_uuid(), 'gone', clock_timestamp(), clock_timestamp() - interval '1 hour'
        from generate_series(1, ${STALE_WAITERS}) i;
    insert into leasehold.sessions (id, nonce, owner, pid, host, application_name, version, started_at, seen_at)
      select -i, gen_random_uuid(), 'gone', 1, 'host', '', 'test', clock_timestamp() - interval '1 hour', clock_timestamp() - interval '1 hour'
        from generate_series(1, ${DEAD_SESSIONS}) i;
    analyze leasehold.leases, leasehold.waiters, leasehold.sessions;
    create table public.live as select * from leasehold.leases where key like 'live %'`);
  // The same in a database where nobody sweeps, at the same time: so whatever else the machine has to do slows both.
  const calm = await createDatabase();
  const options = { sweepEveryMs: Number.POSITIVE_INFINITY };
  await using swept = openLocker(database, options);
  await using undisturbed = openLocker(calm, options);
  await Promise.all([swept.ready(), undisturbed.ready()]);

  /** Milliseconds of each acquire. A key that is free or new is granted at once: nobody else asks for it. */
  const measure = async (locker: Locker, round: string): Promise<number[]> => {
    const times: number[] = [];
    for (let cycle = 1; cycle <= CYCLES; cycle += 1) {
      const start = performance.now();
      const lock = await locker.tryAcquire(cycle % 2 === 0 ? `fresh ${cycle}` : `new ${round} ${cycle}`);
      times.push(performance.now() - start);
      if (lock === null) throw new Error(`cycle ${cycle}: a key that nobody has was not granted`);
      await lock.release();
    }
    return times.sort((a, b) => a - b);
  };
  const both = (round: string) => Promise.all([measure(undisturbed, round), measure(swept, round)]);
  await both("warm-up");

  await using worker = await startWorker(file, { url: database.url, count: SWEEPERS });
  const sweeping = worker.request<Swept>("sweep", undefined, { timeoutMs: 580_000 });
  const over = async () => {
    const rows = await sql`
      select count(*)::int as n from leasehold.leases where key like 'free %' or key like 'expired %'
      union all select count(*)::int from leasehold.waiters union all select count(*)::int from leasehold.sessions where id < 0`;
    return rows.reduce((sum, { n }) => sum + n, 0);
  };
  const all = FREE + EXPIRED + STALE_WAITERS + DEAD_SESSIONS;
  await until("they are at work", async () => (await over()) < all);
  const [alone, beside] = await both("beside");
  await until("they are done", async () => (await over()) === 0, { timeoutMs: 400_000 });
  await worker.request("stop");
  const did = await sweeping;
  await worker.request("close");

  const at = (times: readonly number[], part: number) => times[Math.floor(times.length * part)] ?? 0;
  const ratio = at(beside, 0.5) / at(alone, 0.5);
  console.log(
    `[tests] an acquire beside 20 sweepers: ${at(beside, 0.5).toFixed(2)} ms, in another database ${at(alone, 0.5).toFixed(2)} (median); ${at(beside, 0.99).toFixed(2)} and ${at(alone, 0.99).toFixed(2)} ms (99 %)`,
  );
  expect(did).toMatchObject({ leases: FREE + EXPIRED, waiters: STALE_WAITERS, sessions: DEAD_SESSIONS });
  expect(did.busy).toBeGreaterThan(0);
  const differing = await sql`
    (select * from public.live except select * from leasehold.leases)
    union all (select * from leasehold.leases where token is not null except select * from public.live)`;
  expect(differing).toEqual([]);
  const [left] = await sql`
    select count(*) filter (where key like 'fresh %')::int as fresh, count(*) filter (where key like 'new %')::int as new from leasehold.leases`;
  expect(left).toEqual({ fresh: FRESH, new: 2 * (CYCLES / 2) });
  // One that waited for a sweeper's transaction would take some thirty times as long.
  expect(ratio).toBeLessThan(10);
  await database.drop();
  await calm.drop();
});
