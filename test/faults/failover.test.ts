// High availability as Postgres has it: a standby that lags is promoted, a dump is restored elsewhere.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { type Lock, UnsafeBackendError } from "../../src/index.js";
import { changeUrl, openClient } from "../support/client.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

/** One address with two hosts. */
function both(url: string, other: string): string {
  const { port } = new URL(other);
  return url.replace(/@([^/]+)\//, `@$1,127.0.0.1:${port}/`);
}

test("a standby alone is refused by name; with the primary beside it in the address, it is passed over", async () => {
  await using primary = await startCluster();
  await using database = await createDatabase({ on: primary });
  await using standby = await primary.createStandby();
  await standby.caughtUp();
  const standbyUrl = changeUrl(standby.url, { database: database.name });

  for (const presence of ["on", "off"] as const) {
    await using locker = openLocker(standbyUrl, { presence });
    const refusal = { name: "UnsafeBackendError", problem: expect.stringContaining("standby") };
    await expect(locker.ready()).rejects.toMatchObject(refusal);
    await expect(locker.acquire("a")).rejects.toMatchObject(refusal);
    await using alone = openLocker(standbyUrl.replace("@", "@127.0.0.1:1,"), { presence });
    const why =
      /is a standby: it cannot grant a lease\. 127\.0\.0\.1:1: nothing listens there \(ECONNREFUSED\)\. Connect to/;
    await expect(alone.ready()).rejects.toMatchObject({ ...refusal, message: expect.stringMatching(why) });
    await using served = openLocker(both(standbyUrl, database.url), { presence });
    expect(await served.withLock("a", ({ held }) => held)).toBe(true);
  }
});

test.each(["on", "off"] as const)(
  "a lagging standby is promoted: fences rise, every holder is told or kept rightly, who waits queues again (presence: %s)",
  async (presence) => {
    await using primary = await startCluster();
    await using database = await createDatabase({ on: primary });
    await using standby = await primary.createStandby();
    const url = both(database.url, standby.url);
    const options = { presence, ttlMs: 20_000, takeoverDelayMs: 1_000, requestTimeoutMs: 15_000, renewEveryMs: 300 };
    await using locker = openLocker(url, options);
    await using rival = openLocker(url, options);
    const known = await locker.acquire("known");
    const toBeTaken = await locker.acquire("taken", { keepAlive: false });
    await standby.caughtUp();
    await standby.stopReceiving();

    // what the standby never hears of; more than the 32 values that a sequence is ahead of itself in the WAL
    const fences: bigint[] = [];
    for (let turn = 0; turn < 50; turn += 1) fences.push(await locker.withLock("cycled", ({ fence }) => fence));
    const unknown = await locker.acquire("unknown");
    await toBeTaken.release();
    const regranted = await rival.acquire("taken");
    let isServed = false;
    const waiting = rival.acquire("known").then((lock: Lock) => {
      isServed = true;
      return lock;
    });
    await until("it is in the queue", async () => (await database.sql`select from leasehold.waiters`).length === 1);
    const signals = { known: known.signal, unknown: unknown.signal, regranted: regranted.signal };

    await primary.stop("immediate");
    await standby.promote();
    await using sql = disposable(await openClient(changeUrl(standby.url, { database: database.name })));

    // the promoted one has neither of these grants: their holders are told, and soon
    await until("the holder of a lost grant is told", () => signals.unknown.aborted);
    await until("the holder of the other is told", () => signals.regranted.aborted);
    for (const { reason } of [signals.unknown, signals.regranted]) {
      expect(reason).toMatchObject({ name: "LeaseLostError", reason: "taken" });
    }
    // a grant that it has is kept, under the new server's session
    await until("the known lease is proven", () => known.held);
    expect(signals.known.aborted).toBe(false);
    const [waiter] = await until("who waits is in the queue again", async () => {
      const rows = await sql.client`select key from leasehold.waiters`;
      return rows.length === 1 ? rows : null;
    });
    expect(waiter).toEqual({ key: "known" });
    expect(isServed).toBe(false);

    const row = await leaseRow(sql.client, "known");
    expect(row).toMatchObject(grantOf(known));
    await known.release();
    const next = await waiting;
    const largest = [known.fence, unknown.fence, regranted.fence, ...fences].reduce((a, b) => (a > b ? a : b));
    const after = [next.fence];
    for (const key of ["cycled", "unknown", "never-seen"]) {
      after.push(await rival.withLock(key, ({ fence }) => fence));
    }
    for (const fence of after) expect(fence).toBeGreaterThan(largest);
    await next.release();
  },
);

test.each(["on", "off"] as const)(
  "while only the standby answers nobody is turned away: who releases and who waits is served after the promotion (presence: %s)",
  async (presence) => {
    await using primary = await startCluster();
    await using database = await createDatabase({ on: primary });
    await using standby = await primary.createStandby();
    const url = both(database.url, standby.url);
    const options = { presence, ttlMs: 30_000, requestTimeoutMs: 15_000, keepAlive: false };
    await using locker = openLocker(url, options);
    await using rival = openLocker(url, options);
    const lock = await locker.acquire("a");
    const waiting = rival.acquire("a");
    await until("it is in the queue", async () => (await database.sql`select from leasehold.waiters`).length === 1);
    await standby.caughtUp();

    await primary.stop("immediate");
    const released = lock.release();
    const refusal = { code: "unavailable", outcome: "not-sent", cause: { name: "UnsafeBackendError" } };
    await until("the standby has answered", async () => {
      const error = await rival.ping().catch((reason: unknown) => reason);
      return (error as Error).cause instanceof UnsafeBackendError && error;
    }).then((error) => expect(error).toMatchObject(refusal));
    // past the next look of who waits
    await sleep(1_500);
    await standby.promote();

    await released;
    const next = await waiting;
    expect(next.fence).toBeGreaterThan(lock.fence);
    await next.release();
  },
);

test("after a promotion a dead holder's key is free at its TTL, and no earlier", async () => {
  await using primary = await startCluster();
  await using database = await createDatabase({ on: primary });
  await using standby = await primary.createStandby();
  await using holder = openLocker(database, {
    ttlMs: 8_000,
    takeoverDelayMs: 1_000,
    keepAlive: false,
    requestTimeoutMs: 4_000,
  });
  const lock = await holder.acquire("dead");
  const { expiresAt } = await leaseRow(database.sql, "dead");
  await standby.caughtUp();

  await primary.stop("immediate");
  await holder.close();
  await standby.promote();
  const url = changeUrl(standby.url, { database: database.name });
  await using locker = openLocker(url, { takeoverDelayMs: 1_000 });
  await using next = await locker.acquire("dead");
  await using sql = disposable(await openClient(url));

  expect((await leaseRow(sql.client, "dead")).acquiredAt).toBeGreaterThanOrEqual(expiresAt);
  expect(next.fence).toBeGreaterThan(lock.fence);
});

test("what is restored into another cluster issues larger fences, from its first grant on and for every key", async () => {
  await using source = await startCluster();
  await using database = await createDatabase({ on: source });
  await using target = await startCluster({ ownIdentity: true });
  await using restored = await createDatabase({ on: target });
  await using before = openLocker(database);
  const fences: bigint[] = [];
  for (let turn = 0; turn < 30; turn += 1) fences.push(await before.withLock(`key-${turn % 3}`, ({ fence }) => fence));
  const [identifiers] = await Promise.all([
    Promise.all([database.sql, restored.sql].map((sql) => sql`select system_identifier from pg_control_system()`)),
  ]);
  expect(identifiers[0]).not.toEqual(identifiers[1]);

  // as pg_dump and pg_restore do it; of the sequence an older state, as from a dump that was not the last
  for (const table of ["leases", "fence_epoch"]) {
    const rows = await database.sql`select to_jsonb(t)::text as row from leasehold.${database.sql(table)} t`;
    await restored.sql.unsafe(`delete from leasehold.${table}`);
    for (const { row } of rows) {
      await restored.sql.unsafe(
        `insert into leasehold.${table} select * from jsonb_populate_record(null::leasehold.${table}, $1::text::jsonb)`,
        [row],
      );
    }
  }
  await restored.sql`select setval('leasehold.fences', 3)`;
  await using after = openLocker(restored);

  const largest = fences.reduce((a, b) => (a > b ? a : b));
  for (const key of ["key-0", "key-1", "key-2", "new"]) {
    const fence = await after.withLock(key, (lock) => lock.fence);
    expect(fence).toBeGreaterThan(largest);
    fences.push(fence);
  }
  // once more into a third: the first restore's fences count as well
  const [epoch] = await restored.sql`select top::int, base::int from leasehold.fence_epoch`;
  expect(epoch?.top).toBeGreaterThan(0);
});

function disposable(client: Awaited<ReturnType<typeof openClient>>) {
  return { client, [Symbol.asyncDispose]: () => client.end({ timeout: 1 }) };
}
