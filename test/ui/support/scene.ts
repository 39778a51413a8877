// Locks in every state, as real processes and transactions make them: what the page of the inspector is looked at with.
import { openSession, type Session } from "../../fencing/session.js";
import type { TestDatabase } from "../../support/database.js";
import { type LockProcess, openLockProcess } from "../../support/lock-process.js";
import { openLocker } from "../../support/lockers.js";
import { Undo } from "../../support/undo.js";
import { until } from "../../support/until.js";

export interface Scene extends AsyncDisposable {
  readonly dead: LockProcess;
  readonly frozen: LockProcess;
  /** Its transaction keeps `ledger:2026-11`. */
  readonly transaction: Session;
}

/**
 * | key | state |
 * |---|---|
 * | `invoice:1041`, `invoice:1042` | held, and waited for, by each other's holders: a deadlock |
 * | `report:daily` | held, with metadata and two waiters |
 * | `cache:products` | shared by three |
 * | `gpu:pool` | a semaphore: 5 of 8 |
 * | `tenant:7/import` | revoked |
 * | `mail:digest` | cooling |
 * | `ledger:2026-11` | blocked by an open transaction |
 * | `job:thumbnails` | expired |
 * | `job:backup` | orphaned |
 * | `job:index` | held by a process that is frozen |
 */
export async function openScene(database: Pick<TestDatabase, "url" | "sql">): Promise<Scene> {
  const { sql } = database;
  const undo = new Undo();
  // none sweeps: what has ended stays for as long as it is looked at
  const options = { ttlMs: 60_000, waitMs: 600_000, sweepEveryMs: Number.POSITIVE_INFINITY };
  const locker = (owner: string) => undo.use(openLocker(database.url, { ...options, owner }));
  const left: Promise<unknown>[] = [];
  const stop = new AbortController();
  const waits = (promise: Promise<unknown>): void => {
    left.push(promise.catch(() => undefined));
  };
  const lasting = { takeoverDelayMs: 1_000, ttlMs: 600_000, owner: "worker-5" };
  const dead = undo.use(await openLockProcess(database, { options: lasting }));
  const frozen = undo.use(await openLockProcess(database, { options: { ttlMs: 600_000, owner: "worker-6" } }));
  await dead.acquire("job:backup");
  await frozen.acquire("job:index");
  frozen.worker.stop();
  await dead.worker.kill();

  const [one, two, three] = [locker("worker-1"), locker("worker-2"), locker("worker-3")];
  const metadata = { run: 20261129, host: "batch-2", step: "aggregate" };
  await one.acquire("report:daily", { metadata });
  await one.acquire("invoice:1041");
  await two.acquire("invoice:1042");
  for (const reader of [one, two, three]) await reader.acquire("cache:products", { shared: true });
  await two.acquire("gpu:pool", { capacity: 8, weight: 2 });
  await three.acquire("gpu:pool", { capacity: 8, weight: 3 });
  await three.acquire("tenant:7/import", { ttlMs: 600_000 }); // not free before a slow test has ended
  await one.forceRelease("tenant:7/import");
  await (await three.acquire("mail:digest", { minHoldMs: 600_000 })).release();
  await three.acquire("job:thumbnails", { keepAlive: false });
  await sql`update leasehold.leases set expires_at = clock_timestamp() where key = 'job:thumbnails'`;
  const transaction = await openSession(database.url);
  await (await three.acquire("ledger:2026-11")).release();
  await transaction.begin();
  await transaction.run("select from leasehold.leases where key = 'ledger:2026-11' for update");

  const { signal } = stop;
  waits(one.acquire("invoice:1042", { signal }));
  waits(two.acquire("invoice:1041", { signal }));
  waits(two.acquire("report:daily", { signal }));
  waits(three.acquire("report:daily", { signal }));
  await until("all wait", async () => (await sql`select from leasehold.waiting`).length === 4);
  await until(
    "the dead one is confirmed",
    async () => (await sql`select from leasehold.expired_leases where reason = 'orphaned'`).length === 1,
  );
  return {
    dead,
    frozen,
    transaction,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all(left);
      await transaction[Symbol.asyncDispose]();
      await frozen.worker.kill();
      await undo[Symbol.asyncDispose]();
    },
  };
}
