// Several guards of one row are a multixact. The oldest that a table has is known while new ones are made.
import { expect, test } from "vitest";
import { openGuard } from "../fencing/session.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

test("who guards the row with the oldest multixact is found, though another was made since the look at the locks", async () => {
  // a server of its own: no vacuum goes beyond what a transaction of another database may see
  await using cluster = await startCluster();
  await using database = await createDatabase({ on: cluster });
  const { sql } = database;
  await using locker = openLocker(database, { ttlMs: 600_000 });
  const [first, second] = [await locker.acquire("first"), await locker.acquire("second")];
  const guards = [await openGuard(database, first), await openGuard(database, first)];
  await until("the oldest of the table is that of the first", async () => {
    await sql`vacuum (freeze) leasehold.leases, leasehold.shares`;
    const [row] = await sql`
      select c.relminmxid = l.xmax as is_oldest from pg_class c, leasehold.leases l
       where c.oid = 'leasehold.leases'::regclass and l.key = 'first'`;
    return row?.is_oldest;
  });
  const [open] = await sql`select to_jsonb(o) as look from leasehold_internal._open_transactions() o`;
  guards.push(await openGuard(database, second), await openGuard(database, second));
  const [row] = await sql`
    select leasehold_internal._locker(l.xmax, o.xids, o.lone, o.oldest_multixact) as place
      from leasehold.leases l, jsonb_to_record(${sql.json(open?.look)}) o (xids xid[], lone integer, oldest_multixact xid)
     where l.key = 'first'`;
  for (const guard of guards) await guard.rollback();
  for (const guard of guards) await guard.sql.end();
  await first.release();
  await second.release();
  expect(row?.place).not.toBeNull();
});
