// What logical replication carries over was checked where it was written.
import { expect, test } from "vitest";
import { changeUrl } from "../support/client.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";
import { openGuard, openSession } from "./session.js";

test("a subscriber takes what the publisher let pass, and refuses what is written to it without a guard", async () => {
  await using cluster = await startCluster({ settings: { wal_level: "logical" } });
  await using publisher = await createDatabase({ on: cluster });
  await using subscriber = await createDatabase({ on: cluster });
  await using locker = openLocker(publisher, { presence: "off" });
  await using lock = await locker.acquire("a");
  await publisher.sql`create table replicated (key text primary key, n int, fence bigint)`;
  await publisher.sql`insert into replicated values ('a', 0, 5), ('b', 0, 5)`;
  await subscriber.sql`create table replicated (key text primary key, n int, fence bigint)`;
  for (const { sql } of [publisher, subscriber]) {
    await sql`select leasehold.guard_table('replicated', 'key'), leasehold.fence_table('replicated', 'fence')`;
  }
  // the slot by hand, for a subscription to its own cluster would wait for itself
  await publisher.sql`create publication p for table replicated`;
  await publisher.sql`select pg_create_logical_replication_slot('s', 'pgoutput')`;
  const from = new URL(changeUrl(cluster.url, { database: publisher.name }));
  await subscriber.sql.unsafe(
    `create subscription s connection 'host=${from.hostname} port=${from.port} user=${from.username} password=${from.password} dbname=${publisher.name}'
      publication p with (create_slot = false, slot_name = 's')`,
  );
  const arrived = () => subscriber.sql`select key, n, fence::int from replicated order by key`;
  await until("the first copy is there", async () => (await arrived()).length === 2);

  await using session = await openGuard(publisher, lock);
  await session.run("update replicated set n = 1, fence = 6 where key = 'a'");
  await session.commit();
  await until("the update is there", async () => (await arrived())[0]?.fence === 6);

  await expect(publisher.sql`update replicated set n = 9 where key = 'b'`).rejects.toMatchObject({ code: "LH005" });
  await session.begin();
  await session.guard("a", lock.fence);
  await expect(session.run("update replicated set fence = 5 where key = 'a'")).rejects.toMatchObject({ code: "LH006" });
  await session.rollback();
  await expect(subscriber.sql`update replicated set n = 9 where key = 'b'`).rejects.toMatchObject({ code: "LH005" });
  // a truncate that the publisher allowed is replayed as well
  await publisher.sql`select leasehold.unguard_table('replicated')`;
  await publisher.sql`truncate replicated`;
  await until("the truncate is there", async () => (await arrived()).length === 0);

  await subscriber.sql`alter subscription s disable`;
  await subscriber.sql`alter subscription s set (slot_name = none)`;
  await subscriber.sql`drop subscription s`;
  await until(
    "nobody uses the slot",
    async () => (await publisher.sql`select from pg_replication_slots where active`).length === 0,
  );
  await publisher.sql`select pg_drop_replication_slot('s')`;
  await using looking = await openSession(subscriber);
  expect(await looking.run("select tgenabled from pg_trigger where tgrelid = 'replicated'::regclass")).toEqual(
    Array.from({ length: 3 }, () => ({ tgenabled: "O" })),
  );
});
