// locker.stats(): what is counted for each way in which an acquire or a lock can end, against what the caller has seen.
import { expect, test } from "vitest";
import { type Lock, type Locker, type LockerStats, WaitTimeoutError } from "../../src/index.js";
import { changeUrl } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow, tokenOf } from "../support/lease-row.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { seeded } from "../support/random.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

/** All that was counted, by a flat name; what is 0 is left out. */
function counted(locker: Locker): Record<string, number> {
  const { waits, holds, prefixes, hotKeys, lost, takenOver, since, ...plain } = locker.stats();
  const all = [
    ...Object.entries(plain),
    ...Object.entries(lost).map(([reason, count]) => [`lost ${reason}`, count] as const),
    ...Object.entries(takenOver).map(([reason, count]) => [`taken over: ${reason}`, count] as const),
    ["waits", waits.count] as const,
    ["holds", holds.count] as const,
  ];
  return Object.fromEntries(all.filter(([, count]) => count !== 0));
}

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

const isWaiting = (key: string, count = 1) =>
  until(`${count} wait`, async () => (await sql`select from leasehold.waiters where key = ${key}`).length === count);

test("a locker that has done nothing has counted nothing, and says since when", async () => {
  const before = Date.now();
  await using locker = openLocker(database);
  const after = Date.now();
  expect(counted(locker)).toEqual({});
  const since = Date.parse(locker.stats().since);
  expect(since).toBeGreaterThanOrEqual(before - 1);
  expect(since).toBeLessThanOrEqual(after + 1);
});

test("grants, releases, tries that find the key taken", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("plain");
  expect(counted(locker)).toEqual({ acquired: 1, waits: 1, activeLeases: 1 });
  expect(await locker.tryAcquire("plain")).toBeNull();
  await expect(locker.acquire("plain", { waitMs: 0 })).rejects.toThrow(WaitTimeoutError);
  expect(await locker.tryWithLock("plain", () => 1)).toMatchObject({ acquired: false });
  await lock.release();
  await locker.withLock("plain", () => 1);
  expect(counted(locker)).toEqual({ acquired: 2, waits: 2, released: 2, holds: 2, refused: 3, contended: 3 });
});

test("waits: those that are granted, those that end in vain, and those that are cancelled", async () => {
  await using holder = openLocker(database);
  await using locker = openLocker(database);
  const lock = await holder.acquire("waited");
  const end = new AbortController();
  const cancelled = locker.acquire("waited", { signal: end.signal });
  await isWaiting("waited");
  expect(counted(locker)).toEqual({ waiters: 1 });
  end.abort();
  await expect(cancelled).rejects.toBe(end.signal.reason);
  await expect(locker.acquire("waited", { waitMs: 300 })).rejects.toThrow(WaitTimeoutError);
  await isWaiting("waited", 0);
  const granted = locker.acquire("waited");
  await isWaiting("waited");
  await lock.release();
  await (await granted).release();

  const { contended, ...counts } = counted(locker);
  // the one that was cancelled knows it only if its answer came before that
  expect([2, 3]).toContain(contended);
  expect(counts).toEqual({
    cancelled: 1,
    timedOut: 1,
    acquired: 1,
    waits: 1,
    released: 1,
    holds: 1,
  });
  expect(counted(holder)).toEqual({ acquired: 1, waits: 1, released: 1, holds: 1 });
});

test("an acquire that is cancelled before it begins is none, and one that cannot reach Postgres has failed", async () => {
  await using locker = openLocker(changeUrl(database.url, { port: 1 }), { requestTimeoutMs: 100, onError: () => {} });
  await expect(locker.acquire("a", { signal: AbortSignal.abort() })).rejects.toThrow();
  expect(counted(locker)).toEqual({});
  await expect(locker.acquire("a", { waitMs: 1 })).rejects.toMatchObject({ code: "unavailable" });
  await expect(locker.tryAcquire("a")).rejects.toMatchObject({ code: "unavailable" });
  expect(counted(locker)).toMatchObject({ failed: 2 });
  expect(counted(locker)).not.toHaveProperty("contended");
});

test("close() cancels waits and releases what is held", async () => {
  const locker = openLocker(database);
  await locker.acquire("closed");
  const waiting = locker.acquire("closed");
  await isWaiting("closed");
  const rejected = expect(waiting).rejects.toMatchObject({ code: "closed" });
  await locker.close();
  await rejected;
  expect(counted(locker)).toEqual({ acquired: 1, waits: 1, contended: 1, cancelled: 1, released: 1, holds: 1 });
});

test("renewals that were confirmed, by hand and in the background; checks that were answered", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("renewed", { keepAlive: false });
  await lock.renew();
  await lock.renew(60_000);
  await locker.check("renewed");
  await locker.isLocked("something else");
  expect(counted(locker)).toEqual({ acquired: 1, waits: 1, activeLeases: 1, renewed: 2, checked: 2 });

  const stop = lock.keepAlive({ everyMs: 50 });
  await until("it is renewed by itself", () => locker.stats().renewed >= 5);
  await stop();
  await lock.release();
});

test("losses, by their reason", async () => {
  await using locker = openLocker(database, { keepAlive: false });
  await using operator = openLocker(database);
  const lost: Promise<unknown>[] = [];
  const acquire = async (key: string, options = {}) => {
    lost.push(
      new Promise((resolve) => {
        locker.acquire(key, { ...options, onLost: (_lock, { reason }) => resolve(reason) }).catch(resolve);
      }),
    );
    await until("it is held", async () => locker.get(key)?.held === true);
    return locker.get(key) as Lock;
  };
  await acquire("expired", { ttlMs: 3_000 });
  await acquire("max-hold", { maxHoldMs: 3_000, ttlMs: 60_000 });
  const forced = await acquire("forced");
  await operator.forceRelease("forced");
  await expect(forced.renew()).rejects.toMatchObject({ reason: "forced" });
  const taken = await acquire("taken");
  await operator.forceRelease("taken", { immediate: true });
  await sql`update leasehold.leases set revoked_at = null where key = 'taken'`;
  const next = await operator.acquire("taken");
  await expect(taken.release()).rejects.toMatchObject({ reason: "taken" });
  await next.release();

  expect((await Promise.all(lost)).sort()).toEqual(["expired", "forced", "max-hold", "taken"]);
  expect(counted(locker)).toEqual({
    acquired: 4,
    waits: 4,
    holds: 4,
    "lost expired": 1,
    "lost max-hold": 1,
    "lost forced": 1,
    "lost taken": 1,
  });
});

test("takeovers: of a lease that ran out, and of a process that died", async () => {
  await using dying = await openLockProcess(database, { options: { takeoverDelayMs: 1_000 } });
  await using locker = openLocker(database);
  await dying.acquire("orphaned");
  await dying.acquire("expired");
  dying.worker.stop();
  await sql`update leasehold.leases set expires_at = clock_timestamp() where key = 'expired'`;
  await (await locker.acquire("expired")).release();
  expect(counted(locker)).toMatchObject({ "taken over: expired": 1 });

  await dying.worker.kill("SIGKILL");
  expectLeft(database, "sessions");
  await (await locker.acquire("orphaned")).release();

  expect(counted(locker)).toMatchObject({ acquired: 2, "taken over: expired": 1, "taken over: orphaned": 1 });
  expect(sum(locker.stats().prefixes.map(({ takenOver }) => takenOver))).toBe(2);
});

test("what failed in the background", async () => {
  const errors: unknown[] = [];
  await using locker = openLocker(database, { onError: (error) => errors.push(error) });
  const lock = await locker.acquire("errors");
  await sql`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'leasehold session'`;
  await until("it is noticed", () => errors.length > 0);
  await until("the session stands again", async () => {
    const found = await sql`select from leasehold.sessions s join pg_stat_activity a on a.pid = s.pid
      where a.datname = current_database() and a.application_name = 'leasehold session'`;
    return found.length === 1 && lock.held;
  });
  await lock.release();
  expect(locker.stats().errors).toBe(errors.length);
});

test("what a sweep has purged", async () => {
  await using locker = openLocker(database);
  for (const key of ["old-1", "old-2", "old-3"]) await locker.withLock(key, () => undefined);
  await sql`update leasehold.leases set released_at = released_at - interval '1 day' where key like 'old-%'`;
  const { leasesPurged, waitersPurged, sessionsPurged, countersPurged } = await locker.sweep();
  expect(leasesPurged).toBeGreaterThanOrEqual(3);
  expect(locker.stats().swept).toBe(leasesPurged + waitersPurged + sessionsPurged + countersPurged);
});

test("resetStats() begins anew, but for what is held and waited for now", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("reset");
  await locker.tryAcquire("reset");
  const { since } = locker.stats();
  await until("a millisecond has passed", () => Date.now() > Date.parse(since) + 1);

  locker.resetStats();

  expect(counted(locker)).toEqual({ activeLeases: 1 });
  expect(locker.stats()).toMatchObject({ prefixes: [], hotKeys: [] });
  expect(Date.parse(locker.stats().since)).toBeGreaterThan(Date.parse(since));
  await lock.release();
  expect(counted(locker)).toEqual({ released: 1, holds: 1 });
});

test("waiting and holding times are what they were", async () => {
  await using locker = openLocker(database);
  const begin = performance.now();
  const first = await locker.acquire("timed");
  const start = performance.now();
  const waiting = locker.acquire("timed");
  await isWaiting("timed");
  const sinceMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const leastMs = performance.now() - sinceMs;
  const { heldMs } = first;
  await first.release();
  const second = await waiting;
  // the first one had to connect, which may take longer
  const longestMs = Math.max(start - begin, performance.now() - start);
  await second.release();

  const { waits, holds } = locker.stats();
  expect(waits.count).toBe(2);
  expect(waits.sumMs).toBeGreaterThanOrEqual(leastMs);
  expect(waits.p99Ms ?? 0).toBeGreaterThanOrEqual(leastMs);
  expect(waits.p99Ms ?? 0).toBeLessThan(2 * longestMs);
  expect(holds.sumMs).toBeGreaterThanOrEqual(heldMs);
});

test("everything in it survives JSON, and nothing in it is a token", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("json:1");
  await locker.tryAcquire("json:1");
  const stats = locker.stats();
  const text = JSON.stringify(stats);
  expect(JSON.parse(text)).toEqual(stats);
  expect(text).not.toContain(await tokenOf(sql, "json:1"));
  await lock.release();
});

test("a random load is counted as its callers saw it, by outcome, by prefix and by key", async () => {
  const random = seeded("a random load");
  await using holder = openLocker(database, { waitMs: 100 });
  await using locker = openLocker(database, { prefix: "load:" });
  const keys = ["order:1", "order:2", "user:1", "bare", "a:b:c"];
  const prefixes: Record<string, string> = { order: "load:order", user: "load:user", bare: "load:", a: "load:a" };
  const seen = { acquired: 0, refused: 0, timedOut: 0, cancelled: 0, released: 0 };
  const byPrefix = new Map<string, number>();
  const byKey = new Map<string, number>();
  const worker = async (): Promise<void> => {
    for (let turn = 0; turn < 40; turn += 1) {
      const key = keys[Math.floor(random() * keys.length)] as string;
      const [pauseMs, kind] = [random() * 8, random()];
      const prefix = prefixes[key.split(":")[0] as string] as string;
      byPrefix.set(prefix, (byPrefix.get(prefix) ?? 0) + 1);
      let lock: Lock | null = null;
      if (kind < 0.4) {
        lock = await locker.tryAcquire(key);
        if (lock === null) seen.refused += 1;
      } else {
        const end = new AbortController();
        const options =
          kind < 0.6 ? { waitMs: 1 + Math.floor(random() * 15) } : kind < 0.8 ? { signal: end.signal } : {};
        if (kind >= 0.6 && kind < 0.8) setTimeout(() => end.abort(), random() * 15);
        try {
          lock = await locker.acquire(key, options);
        } catch (error) {
          if (error === end.signal.reason) seen.cancelled += 1;
          else if (error instanceof WaitTimeoutError) seen.timedOut += 1;
          else throw error;
        }
      }
      if (lock !== null) {
        seen.acquired += 1;
        byKey.set(lock.key, (byKey.get(lock.key) ?? 0) + 1);
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
        await lock.release();
        seen.released += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: 12 }, worker));

  const stats: LockerStats = locker.stats();
  expect(stats).toMatchObject({ ...seen, failed: 0, activeLeases: 0, waiters: 0, errors: 0 });
  expect(stats.waits.count).toBe(seen.acquired);
  expect(stats.holds.count).toBe(seen.released);
  expect(stats.contended).toBeGreaterThanOrEqual(seen.refused + seen.timedOut);
  const told = new Map(stats.prefixes.map((one) => [one.prefix, one]));
  expect([...told.keys()].sort()).toEqual([...byPrefix.keys()].sort());
  for (const name of ["acquired", "refused", "timedOut", "contended"] as const) {
    expect(sum(stats.prefixes.map((one) => one[name])), name).toBe(stats[name]);
  }
  expect(sum(stats.prefixes.map(({ waitedMs }) => waitedMs))).toBeCloseTo(stats.waits.sumMs, 6);
  // five keys: their counts are exact
  expect(sum(stats.hotKeys.map(({ contended }) => contended))).toBe(stats.contended);
  for (const { key, contended, contendedAtMost, acquired } of stats.hotKeys) {
    expect(contendedAtMost).toBe(contended);
    // the grants before it was first contended are not known
    expect(acquired).toBeLessThanOrEqual(byKey.get(key) ?? 0);
  }
  // What became of the rows says the same.
  const [rows] = await sql`select sum(acquisitions)::int as acquired from leasehold.leases where key like 'load:%'`;
  expect(rows?.acquired).toBeGreaterThanOrEqual(seen.acquired);
  expect(counted(holder)).toEqual({});
});

test("contention is counted exactly: each of those that find the key taken, once, however often they look", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("queue:1");
  const waits = Array.from({ length: 20 }, () => locker.acquire("queue:1").then((granted) => granted.release()));
  await isWaiting("queue:1", 20);
  // long enough for each to look again
  await until("they have looked again", async () => {
    const [row] =
      await sql`select bool_and(alive_until > enqueued_at + interval '3500 milliseconds') as again from leasehold.waiters`;
    return row?.again;
  });
  await lock.release();
  await Promise.all(waits);

  expect(locker.stats().contended).toBe(20);
  expect(locker.stats().prefixes).toMatchObject([{ prefix: "queue", contended: 20, acquired: 21 }]);
  expect(locker.stats().hotKeys).toMatchObject([{ key: "queue:1", contended: 20, contendedAtMost: 20, acquired: 20 }]);
  expect((await leaseRow(sql, "queue:1")).token).toBeNull();
});

test("prefixes: the key up to its first colon after the locker's own prefix, or what statsPrefix says", async () => {
  await using plain = openLocker(database, { prefix: "app:x:" });
  await using ruled = openLocker(database, { statsPrefix: (key) => key.slice(0, 2) });
  for (const key of ["order:1:2", "order:2", "cron", ":odd"]) await plain.withLock(key, () => undefined);
  for (const key of ["order:1", "orange", "x"]) await ruled.withLock(key, () => undefined);

  const names = (locker: Locker) => locker.stats().prefixes.map(({ prefix, acquired }) => `${prefix} ${acquired}`);
  expect(names(plain).sort()).toEqual(["app:x: 2", "app:x:order 2"]);
  expect(names(ruled).sort()).toEqual(["or 2", "x 1"]);
});

test("a statsPrefix that throws, or returns what is no prefix, disturbs nothing: onError hears of it", async () => {
  const errors: unknown[] = [];
  const answers: unknown[] = [new Error("mine"), 7, "x".repeat(513), "nul\0", "fine"];
  const statsPrefix = (): string => {
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer as string;
  };
  await using locker = openLocker(database, { statsPrefix, onError: (error) => errors.push(error) });
  for (let turn = 0; turn < 5; turn += 1) await locker.withLock("a", () => undefined);

  expect(locker.stats().prefixes).toMatchObject([
    { prefix: "", acquired: 4 },
    { prefix: "fine", acquired: 1 },
  ]);
  const invalid = { code: "invalid-option", option: "what statsPrefix returns" };
  expect(errors).toMatchObject([{ message: "mine" }, { ...invalid, received: "7 (number)" }, invalid, invalid]);
});

test("an async statsPrefix that rejects is no prefix either, and ends no process", async () => {
  const errors: unknown[] = [];
  const statsPrefix = (async () => Promise.reject(new Error("mine"))) as unknown as () => string;
  await using locker = openLocker(database, { statsPrefix, onError: (error) => errors.push(error) });
  await locker.withLock("a", () => undefined);
  expect(errors).toContainEqual(expect.objectContaining({ option: "what statsPrefix returns" }));
  expect(errors).toContainEqual(new Error("mine"));
});

test("a hundred prefixes are told apart, and the others count together", async () => {
  await using locker = openLocker(database);
  await Promise.all(Array.from({ length: 130 }, (_, number) => locker.withLock(`p${number}:1`, () => undefined)));
  const { prefixes } = locker.stats();
  expect(prefixes).toHaveLength(101);
  expect(prefixes.filter(({ prefix }) => prefix !== null).every(({ acquired }) => acquired === 1)).toBe(true);
  expect(prefixes.find(({ prefix }) => prefix === null)).toMatchObject({ acquired: 30 });
});
