// Postgres crashes (an immediate stop) and is started again.
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Cluster, startCluster } from "../support/cluster.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

let cluster: Cluster;
let database: TestDatabase;
const presences = ["on", "off"] as const;

beforeAll(async () => {
  cluster = await startCluster();
  database = await createDatabase({ on: cluster });
});

// a test that failed may have left it down
beforeEach(async () => {
  if (cluster.pid === undefined) await cluster.start();
});

afterAll(async () => {
  await database.drop();
  await cluster.destroy();
});

const queueOf = (key: string) =>
  database.sql`select token::text, ticket::text from leasehold.waiters where key = ${key} order by ticket`;

test.each(presences)(
  "over a short outage no lock is lost, and who waits queues again by itself in the same order (presence: %s)",
  async (presence) => {
    const key = `short-${presence}`;
    const { sql } = database;
    const options = { presence, ttlMs: 30_000, requestTimeoutMs: 10_000 };
    await using holders = openLocker(database, options);
    await using first = openLocker(database, options);
    await using second = openLocker(database, options);
    const lock = await holders.acquire(key);
    const { signal } = lock;
    const granted: string[] = [];
    const wait = async (name: string, locker: typeof first) => {
      const mine = await locker.acquire(key);
      granted.push(name);
      await mine.release();
      return mine.fence;
    };
    const waits = [wait("first", first)];
    await until("the first is in the queue", async () => (await queueOf(key)).length === 1);
    waits.push(wait("second", second));
    const before = await until("both are", async () => {
      const rows = await queueOf(key);
      return rows.length === 2 ? [...rows] : null;
    });
    await until("they know their places", async () => {
      const known = await Promise.all([first.debug(), second.debug()]);
      return known.every(({ waits: [own] }) => own?.ticket);
    });

    await cluster.stop("immediate");
    await expect(sql`select 1`).rejects.toThrow();
    await cluster.start();
    // the queue is unlogged: what is in it now came after the crash
    const after = await until("both are in the queue again", async () => {
      const rows = await queueOf(key);
      return rows.length === 2 ? [...rows] : null;
    });
    await until("it is held", () => lock.held);

    expect(after).toEqual(before);
    expect(signal.aborted).toBe(false);
    expect(await leaseRow(sql, key)).toMatchObject(grantOf(lock));
    expect(granted).toEqual([]);
    await lock.release();
    const [one, two] = await Promise.all(waits);
    expect(granted).toEqual(["first", "second"]);
    expect(one).toBeGreaterThan(lock.fence);
    expect(two).toBeGreaterThan(one ?? 0n);
  },
);

test.each(presences)(
  "over a long outage every holder is told while there is no server, once, and who waits is granted the key when there is (presence: %s)",
  async (presence) => {
    const key = `long-${presence}`;
    const requestTimeoutMs = 1_000;
    const losses: unknown[] = [];
    const errors: unknown[] = [];
    await using locker = openLocker(database, {
      presence,
      ttlMs: 4_000,
      takeoverDelayMs: 1_000,
      requestTimeoutMs,
      onLost: (_, error) => losses.push(error),
      onError: (error) => errors.push(error),
    });
    const place = new URL(database.url).host;
    const lock = await locker.acquire(key);
    const { signal } = lock;
    const waiting = locker.acquire(key, { waitMs: Number.POSITIVE_INFINITY });
    await until("it waits", async () => (await database.sql`select from leasehold.waiters`).length === 1);
    await lock.renew();
    errors.length = 0; // on a busy machine a request may have been late, which was another outage

    await cluster.stop("immediate");
    await until("it is told", () => signal.aborted);
    expect(cluster.pid).toBeUndefined();
    expect(signal.reason).toMatchObject({ name: "LeaseLostError", reason: "expired" });
    expect(losses).toEqual([signal.reason]);
    expect(() => lock.assertHeld()).toThrow(signal.reason);
    await expect(lock.renew()).rejects.toBe(signal.reason);
    expect(errors).toEqual([
      expect.objectContaining({ name: "UnavailableError", message: expect.stringContaining(place) }),
    ]);
    await cluster.start();

    await using next = await waiting;
    expect(next.fence).toBeGreaterThan(lock.fence);
    expect(lock.held).toBe(false);
  },
);

test.each(presences)(
  "who retries outlasts a restart: it is told once, tries on at its own pace, and is granted the key when there is a server (presence: %s)",
  async (presence) => {
    const key = `retried-${presence}`;
    const errors: unknown[] = [];
    await using locker = openLocker(database, {
      presence,
      requestTimeoutMs: 1_000,
      onError: (error) => errors.push(error),
    });
    await using holder = openLocker(database, { ttlMs: 60_000, requestTimeoutMs: 10_000 });
    const lock = await holder.acquire(key);
    const { signal } = lock;
    let tries = 0;
    const retry = (attempt: number): number => {
      tries = attempt;
      return 100;
    };
    const retrying = locker.acquire(key, { retry });
    await until("it retries", () => tries > 2);
    await locker.check(key);
    errors.length = 0; // as above

    await cluster.stop("immediate");
    const before = tries;
    await until("it has tried without a server, twice", () => tries >= before + 2);
    const told = errors.length;
    await cluster.start();
    const during = tries;
    await until("it tries on", () => tries > during + 1);
    await until("it is held", () => lock.held);
    await lock.release();
    const next = await retrying;

    expect(signal.aborted).toBe(false);
    expect(told).toBe(1);
    expect(errors[0]).toMatchObject({ name: "UnavailableError" });
    expect(next.fence).toBeGreaterThan(lock.fence);
    await next.release();
  },
);

test("after a crash a dead holder's key waits for its TTL: its session is not known any more", async () => {
  const key = "dead";
  await using holders = openLocker(database, {
    ttlMs: 8_000,
    takeoverDelayMs: 1_000,
    keepAlive: false,
    requestTimeoutMs: 3_000,
  });
  const lock = await holders.acquire(key);
  const { expiresAt } = await leaseRow(database.sql, key);

  await cluster.stop("immediate");
  // it goes with its server, as a process would that was killed with it
  await holders.close();
  await cluster.start();
  await using locker = openLocker(database, { requestTimeoutMs: 10_000 });
  await using next = await locker.acquire(key);

  expect((await leaseRow(database.sql, key)).acquiredAt).toBeGreaterThanOrEqual(expiresAt);
  expect(next.fence).toBeGreaterThan(lock.fence);
});

test("a grant that was answered is there after a crash, also when the role's default is asynchronous commit", async () => {
  const { sql } = database;
  await sql.unsafe("alter role postgres set synchronous_commit = off");
  await using locker = openLocker(database, { presence: "off", ttlMs: 60_000, requestTimeoutMs: 10_000 });
  const keys = Array.from({ length: 5 }, (_, number) => `durable-${number}`);

  // one statement for all, and one alone: each has its own way to commit
  const locks = [...(await Promise.all(keys.map((key) => locker.acquire(key)))), await locker.acquire("durable")];
  await cluster.stop("immediate");
  await cluster.start();

  for (const lock of locks) {
    expect(await until("it is read", () => leaseRow(sql, lock.key).catch(() => null))).toMatchObject(grantOf(lock));
  }
  await sql.unsafe("alter role postgres reset synchronous_commit");
});
