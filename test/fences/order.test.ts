// For each key the fences rise in the order in which the grants were committed, whoever grants and however: alone, in batches, in
// transactions of several grants, and while rows are purged.
import type postgres from "postgres";
import { expect, test } from "vitest";
import { ask, giveBack } from "../support/ask.js";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { seeded } from "../support/random.js";

const keys = Array.from({ length: 6 }, (_, index) => `key-${index}`);
const WORKERS = 6;
const GRANTS = 1_500;

test("thousands of grants from several connections, with purges in between: no fence is smaller than one before it", async () => {
  await using database = await createDatabase();
  const { sql, url } = database;
  // Written by the grant itself, under the lock of its row: in the order of the commits.
  await sql.unsafe(`
    create table granted (id bigserial primary key, key text not null, fence bigint not null);
    create function note() returns trigger language plpgsql set search_path = public as $$
    begin
      if new.token is not null and (tg_op = 'INSERT' or new.token is distinct from old.token) then
        insert into granted (key, fence) values (new.key, new.fence);
      end if;
      return null;
    end $$;
    create trigger note after insert or update on leasehold.leases for each row execute function note()`);
  const next = seeded("fences in order");
  let granted = 0;
  let purged = 0;

  /** Repeats it to the end; what waited for the purge for too long was not done. */
  const run = async (turn: (client: postgres.Sql) => Promise<unknown>) => {
    const client = await openClient(url);
    while (granted < GRANTS) {
      await turn(client).catch((error: { code?: string }) => expect(error.code).toMatch(/^(55P03|40P01)$/));
    }
    await client.end();
  };
  const worker = () =>
    run(async (client) => {
      const some = keys.filter(() => next() < 0.5);
      const wanted = next() < 0.5 || some.length === 0 ? [keys[Math.floor(next() * keys.length)] as string] : some;
      const won = (await ask(client, wanted)).filter(({ outcome }) => outcome === "granted");
      granted += won.length;
      await giveBack(client, won);
    });
  // several grants of a key in one transaction
  const repeating = () =>
    run((client) =>
      client.begin(async (tx) => {
        for (let turn = 0; turn < 5; turn += 1) {
          const [lock] = await tx`select token, fence from leasehold.try_acquire('key-0')`;
          if (lock?.token) await tx`select leasehold.release('key-0', ${lock.token}::uuid)`;
        }
      }),
    );
  // A real purge comes a minute after anybody could have been inserting; this one waits for them with the lock of the table.
  const purging = () =>
    run(async (client) => {
      await client.begin(async (tx) => {
        await tx`lock table leasehold.leases in exclusive mode`;
        purged += (await tx`delete from leasehold.leases where token is null returning key`).length;
      });
      await new Promise((resolve) => setTimeout(resolve, 20 * next()));
    });
  await Promise.all([...Array.from({ length: WORKERS }, worker), repeating(), purging()]);

  const inversions = await sql`
    select * from (select key, fence, lag(fence) over (partition by key order by id) as before from granted) g where fence <= before`;
  expect([...inversions]).toEqual([]);
  const [seen] = await sql`select count(*)::int as grants, count(distinct key)::int as keys from granted`;
  expect(seen?.grants).toBeGreaterThanOrEqual(GRANTS);
  expect(seen?.keys).toBe(keys.length);
  expect(purged).toBeGreaterThan(10);
});
