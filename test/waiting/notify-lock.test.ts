// Commits that notify wait for each other, all over the server: also for one whose standby is away.
import { expect, test } from "vitest";
import { acquireFirst, releaseBatch } from "../support/batches.js";
import { changeUrl, openClient } from "../support/client.js";
import { startCluster } from "../support/cluster.js";
import { endCommitWaits, startCommitWaits } from "../support/commit-waits.js";
import { createDatabase } from "../support/database.js";
import { until } from "../support/until.js";

test("a stranger's notification that cannot be committed holds up no release, and only a hint is lost", async () => {
  const cluster = await startCluster();
  try {
    const database = await createDatabase({ on: cluster });
    const { sql } = database;
    const held = await acquireFirst(sql, ["hot"]);
    await sql`update leasehold.leases set queued = true`;
    await sql`insert into leasehold.waiters (key, ticket, token, session_id, owner, enqueued_at, alive_until)
      values ('hot', 1, gen_random_uuid(), 4242, 'waiter', clock_timestamp(), clock_timestamp() + interval '1 hour')`;
    const stranger = await openClient(changeUrl(cluster.url, { database: "postgres" }));
    await stranger`create table written (at timestamptz)`;
    const admin = await cluster.sql();
    await startCommitWaits(cluster);
    let isCommitted = false;
    const committing = stranger
      .begin(async (transaction) => {
        await transaction`insert into written values (now())`;
        await transaction`select pg_notify('theirs', '')`;
      })
      .then(() => {
        isCommitted = true;
      });
    await until("its commit waits", async () => {
      const [row] = await admin`select from pg_stat_activity where wait_event = 'SyncRep'`;
      return row !== undefined;
    });

    expect(await releaseBatch(sql, held)).toEqual([{ outcome: "released", reason: null, next: 4242 }]);
    const [row] = await admin`select from pg_stat_activity where wait_event = 'SyncRep'`;
    expect([row !== undefined, isCommitted]).toEqual([true, false]);
    await expect(sql`select leasehold_internal.notify_next(null, '{hot}'::text[])`).rejects.toMatchObject({
      code: "55P03",
    });
    expect(isCommitted).toBe(false);

    await endCommitWaits(cluster);
    await committing;
    await sql`select leasehold_internal.notify_next(null, '{hot}'::text[])`;
    await stranger.end();
  } finally {
    await cluster.destroy();
  }
});
