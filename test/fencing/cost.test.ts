// What a guard costs, by how much else is guarded.
import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openMetered } from "../support/processor-time.js";

const database = await createDatabase();
const { sql } = database;
const KEYS = 1_000;

test(`a row of a guarded table costs the same with ${KEYS} keys guarded in its transaction as with one`, async () => {
  expectLeft(database, "leases");
  await sql.unsafe(`
    create table costly (key text, value int);
    select leasehold.guard_table('costly', 'key');
    create table granted as
      select g.fence, 'cost:' || n as key from generate_series(1, ${KEYS}) n, lateral leasehold.try_acquire('cost:' || n, '1 hour') g`);
  await using client = await openMetered(database.url);

  /** A thousand rows of as many keys. */
  const cost = async (keys: number): Promise<number> => {
    await client.sql.unsafe(`
      begin;
      do $$ declare one record; begin
        for one in select * from granted limit ${keys} loop perform leasehold.guard(one.key, one.fence, '1 hour'); end loop;
      end $$;
      create temp table guarded on commit drop as select key from granted limit ${keys};
      create temp table targets on commit drop as select key from guarded, generate_series(1, ${KEYS / keys})`);
    const ms = await client.timeOf("insert into costly select key, 0 from targets");
    await client.sql.unsafe("rollback");
    return ms;
  };
  await cost(1);
  const [one, many] = [Math.min(await cost(1), await cost(1)), Math.min(await cost(KEYS), await cost(KEYS))];

  // More keys are more leases to look up and to lock: that costs a little. Were they gone through, it would be ten times as much.
  expect(many / one).toBeLessThan(4);
});

test("what a session keeps of the guards that it ever made is bounded", async () => {
  expectLeft(database, "leases");
  await using client = await openMetered(database.url);
  const guardNew = (name: string) =>
    client.sql.unsafe(`
      do $$ declare one record; begin
        for one in select g.fence, '${name}:' || n as key from generate_series(1, ${KEYS}) n, lateral leasehold.try_acquire('${name}:' || n, '1 hour') g loop
          perform leasehold.guard(one.key, one.fence, '1 hour');
        end loop;
      end $$`);
  const settings = async () => {
    const rows = await client.sql`
      select from generate_series(-1000, 100000) n where current_setting('leasehold.guards_' || n, true) is not null`;
    return rows.length;
  };
  await guardNew("first");
  const first = await settings();
  await guardNew("second");

  expect(first).toBeGreaterThan(200);
  expect(await settings()).toBeLessThanOrEqual(256);
});
