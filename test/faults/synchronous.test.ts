// The wait for a synchronous standby is cancelled: the commit is there, but nobody may count on it.
import { expect, test } from "vitest";
import { startCluster } from "../support/cluster.js";
import { endCommitWaits, startCommitWaits } from "../support/commit-waits.js";
import { createDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";
import { settled } from "./settled.js";

test.each([
  ["on", "notice"],
  ["off", "notice"],
  ["on", "error"],
  ["off", "error"],
] as const)(
  "a grant whose wait for its synchronous standby is cancelled is not acquired, and nothing is left (presence: %s, client_min_messages: %s)",
  async (presence, client_min_messages) => {
    await using cluster = await startCluster();
    await using database = await createDatabase({ on: cluster });
    const { sql } = database;
    const requestTimeoutMs = 3_000;
    const role = await createRole(database, { settings: { client_min_messages }, grantUsage: true });
    await using locker = openLocker(role.url, { presence, requestTimeoutMs, ttlMs: 60_000 });
    await locker.ready();
    const syncWaits = () => sql`select pid from pg_stat_activity where wait_event = 'SyncRep'`;
    await startCommitWaits(cluster);

    const acquiring = settled(locker.tryAcquire("a"), requestTimeoutMs);
    let cancelled = 0;
    const settledFlag = acquiring.then(() => true);
    const cancelAll = async (): Promise<void> => {
      while (!(await Promise.race([settledFlag, new Promise<false>((resolve) => setTimeout(resolve, 20, false))]))) {
        for (const { pid } of await syncWaits()) {
          await sql`select pg_cancel_backend(${pid})`;
          cancelled += 1;
        }
      }
    };
    await cancelAll();
    const outcome = await acquiring;

    expect(cancelled).toBeGreaterThan(0);
    expect(outcome).toMatchObject({ error: { name: "UnavailableError", outcome: "unknown" } });
    expect(locker.locks()).toEqual([]);
    await endCommitWaits(cluster);
    // granted on the server it was, so there was something to free
    expect(await sql`select acquisitions::int from leasehold.leases where key = 'a'`).toEqual([{ acquisitions: 1 }]);
    await until(
      "it is freed",
      async () => (await sql`select from leasehold.leases where token is not null`).length === 0,
    );
    expect(await locker.withLock("a", ({ held }) => held)).toBe(true);
  },
);
