// Sweepers against lockers for the same keys, with rows that are always old enough: whoever looks at a row finds another there
// a moment later.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { startWorker } from "../support/child.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { chooseSeed, randomFrom } from "../support/random.js";
import type { Swept } from "./sweepers.js";

const file = new URL("./sweepers.ts", import.meta.url);
const FOR_MS = process.env.LEASEHOLD_LONG ? 30_000 : 4_000;
const KEYS = 40;
const FLOWS = 12;

test("no live lease is ever purged, no two hold one key, fences rise, no waiter is forgotten", async () => {
  const database = await createDatabase();
  const { sql } = database;
  // A row is old as soon as it is free: for it the sweeper lives two hours ahead. And what a delete takes is written down.
  await sql.unsafe(`
    insert into leasehold.leases (key, token, fence, owner, ttl_ms, expires_at)
      select 'a filler ' || i, gen_random_uuid(), nextval('leasehold.fences'), 'holder', 30000, clock_timestamp() + interval '1 hour'
        from generate_series(1, 5000) i;
    create table public.deleted (key text, fence bigint, was_held boolean, was_waited_for boolean);
    create table public.granted (place bigint generated always as identity, key text, fence bigint);
    create table public.inside (key text primary key);
    alter function leasehold_internal._is_unused_since rename to _is_unused_since_original;
    create function leasehold_internal._is_unused_since(lease leasehold.leases, before timestamptz) returns boolean language sql
      return leasehold_internal._is_unused_since_original(lease, case when lease.token is null then before + interval '2 hours' else before end);
    create function public.witness() returns trigger language plpgsql as $$
    begin
      if tg_op = 'DELETE' then
        insert into public.deleted values (old.key, old.fence, old.token is not null and old.expires_at > clock_timestamp(),
          exists (select from leasehold.waiters w where w.key = old.key));
      elsif new.token is not null and (tg_op = 'INSERT' or new.token is distinct from old.token) then
        insert into public.granted (key, fence) values (new.key, new.fence);
      end if;
      return null;
    end $$;
    create trigger witness after insert or update or delete on leasehold.leases for each row execute function public.witness()`);
  const random = randomFrom(chooseSeed("sweepers against lockers"));
  await using worker = await startWorker(file, { url: database.url, count: 4 });
  const options = { ttlMs: 60_000, sweepEveryMs: Number.POSITIVE_INFINITY };
  await using a = openLocker(database, options);
  await using b = openLocker(database, { ...options, presence: "off" });

  const end = performance.now() + FOR_MS;
  const seen = { grants: 0, forgotten: 0 };
  const flow = async (): Promise<void> => {
    while (performance.now() < end) {
      const locker = random() < 0.5 ? a : b;
      const key = `key ${Math.floor(random() * KEYS)}`;
      const waits = random() < 0.5;
      const leaves = random() < 0.05;
      const pauseMs = random() * 8;
      const lock = waits ? await locker.acquire(key) : await locker.tryAcquire(key);
      if (lock === null) continue;
      seen.grants += 1;
      // Two at once would collide on the primary key.
      await sql`insert into public.inside (key) values (${key})`;
      await sleep(pauseMs);
      await sql`delete from public.inside where key = ${key}`;
      lock.assertHeld();
      if (leaves) {
        // It ran out, an hour ago. Its handle finds that out at its release.
        await sql`update leasehold.leases set expires_at = clock_timestamp() - interval '1 hour' where key = ${key} and token is not null and fence = ${String(lock.fence)}::bigint`;
        await lock.release().catch(() => {
          seen.forgotten += 1;
        });
      } else {
        await lock.release();
      }
    }
  };
  const sweeping = worker.request<Swept>("sweep", undefined, { timeoutMs: FOR_MS + 40_000 });
  await Promise.all(Array.from({ length: FLOWS }, flow));
  await worker.request("stop");
  const swept = await sweeping;
  await worker.request("close");

  expect(swept.leases).toBeGreaterThan(50);
  expect(seen.grants).toBeGreaterThanOrEqual(swept.leases);
  expect(await sql`select * from public.deleted where was_held or was_waited_for`).toEqual([]);
  const fences = await sql`select key from (
    select key, fence, lag(fence) over (partition by key order by place) as before from public.granted) g where fence <= before`;
  expect(fences).toEqual([]);
  // the fillers are live, whoever passed over them
  expect(await sql`select count(*)::int as n from leasehold.leases where key like 'a filler %'`).toEqual([
    { n: 5_000 },
  ]);
  console.log(`[tests] ${seen.grants} grants, ${swept.leases} purged, ${seen.forgotten} of them expired leases`);
  await database.drop();
});
