// A transaction that is open somewhere in the database keeps every old version of a row that is written again and again.
import { expect, onTestFinished, test } from "vitest";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";

const database = await createDatabase();
const VERSIONS = 4_000;

test(`beside ${VERSIONS} old versions of its row that nobody may remove, a key is acquired and released as before`, async () => {
  const { sql } = database;
  const old = await openClient(database.url);
  onTestFinished(() => old.end());
  const client = await openClient(database.url);
  onTestFinished(() => client.end());
  await client.unsafe(`
    create function cycle() returns void language plpgsql as $$
    declare got record;
    begin
      select * into strict got from leasehold.try_acquire('hot');
      if not leasehold.release('hot', got.token) then raise 'not released'; end if;
    end $$`);
  const waiter = crypto.randomUUID();
  await client.unsafe(`
    create function look(ticket bigint) returns bigint language plpgsql as $$
    declare got record;
    begin
      select * into strict got from leasehold_internal.acquire_one(null, null, 0, false, 'hot', '${waiter}', 'waiter', 60000, 0, null, null,
        'infinity', true, ticket, null, null);
      if got.outcome <> 'queued' then raise 'not queued: %', got; end if;
      return got.ticket;
    end $$`);
  /** The least pages that a step looks at: some of them have to find room for the next version. */
  const pages = async (step = "cycle()"): Promise<number> => {
    const counts: number[] = [];
    for (let turn = 0; turn < 10; turn += 1) {
      const [row] = await client.unsafe(`explain (analyze, buffers, timing off, format json) select ${step}`);
      const plan = row?.["QUERY PLAN"][0].Plan;
      counts.push(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]);
    }
    return Math.min(...counts);
  };
  const few = await pages();

  await old.unsafe("begin isolation level repeatable read; select 1");
  await client.unsafe(`do $$ begin for n in 1 .. ${VERSIONS / 2} loop perform cycle(); commit; end loop; end $$`);
  const many = await pages();

  const [table] = await sql`select (pg_relation_size('leasehold.leases') / 8192)::int as pages`;
  expect(table?.pages).toBeGreaterThan(50);
  // Each step that went through the old versions would look at all of these pages.
  expect(many - few).toBeLessThan(table?.pages / 2);

  // The look of who waits for it, too.
  await client.unsafe("select leasehold.try_acquire('hot')");
  const [queued] = await client.unsafe("select look(null)::text as ticket");
  expect(await pages(`look(${queued?.ticket})`)).toBeLessThan(table?.pages / 2);
  await sql`delete from leasehold.waiters`;
  await sql`delete from leasehold.leases`;
});
