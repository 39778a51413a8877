import { setTimeout as sleep } from "node:timers/promises";
import postgres from "postgres";
import { describe, expect, test } from "vitest";
import { ClosedError, createLocker, LeaseLostError, type Lock } from "../../src/index.js";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();

const tokens = async (): Promise<string[]> =>
  (await database.sql`select key from leasehold.leases where token is not null order by key`).map(({ key }) => key);

describe("close", () => {
  test("refuses every new call, and sends nothing for it", async () => {
    await using proxy = await startProxy(database.url);
    const locker = openLocker(proxy.url(database.url));
    await locker.ready();
    await locker.close();
    proxy.statements.length = 0;

    const calls: Record<string, () => Promise<unknown>> = {
      ready: () => locker.ready(),
      migrate: () => locker.migrate(),
      acquire: () => locker.acquire("a"),
      tryAcquire: () => locker.tryAcquire("a"),
      withLock: () => locker.withLock("a", () => 1),
      tryWithLock: () => locker.tryWithLock("a", () => 1),
      check: () => locker.check("a"),
      isLocked: () => locker.isLocked("a"),
      forceRelease: () => locker.forceRelease("a"),
      ping: () => locker.ping(),
    };
    for (const [name, call] of Object.entries(calls)) {
      await expect((async () => call())(), name).rejects.toBeInstanceOf(ClosedError);
    }
    expect(proxy.statements).toEqual([]);
    expect(locker.locks()).toEqual([]);
    expect(locker.fullKey("a")).toBe("a");
  });

  test("rejects waits with ClosedError, and leaves no entry in the queue", async () => {
    await using holder = openLocker(database);
    const held = await holder.acquire("a");
    const locker = openLocker(database);
    const waits = [locker.acquire("a"), locker.withLock("a", () => 1, { waitMs: Number.POSITIVE_INFINITY })];
    const settled = Promise.allSettled(waits);
    await until("both wait", async () => {
      const [row] = await database.sql`select count(*)::int from leasehold.waiters`;
      return row?.count === 2;
    });

    await locker.close();

    for (const { status, ...rest } of await settled) {
      expect(status).toBe("rejected");
      expect(rest).toMatchObject({ reason: { code: "closed" } });
    }
    expect(await database.sql`select * from leasehold.waiters`).toHaveLength(0);
    await held.release();
  });

  test("fires the signals of what is held with the reason closed, and releases it", async () => {
    const locker = openLocker(database);
    const locks = [await locker.acquire("a"), await locker.acquire("b")];
    const fired: unknown[] = [];
    for (const lock of locks) lock.signal.addEventListener("abort", () => fired.push(lock.signal.reason));

    await locker.close();

    expect(fired).toEqual([
      expect.objectContaining({ code: "lease-lost", reason: "closed", key: "a" }),
      expect.objectContaining({ code: "lease-lost", reason: "closed", key: "b" }),
    ]);
    expect(await tokens()).toEqual([]);
    for (const lock of locks) {
      expect(lock.held).toBe(false);
      await expect(lock.release()).rejects.toBe(lock.signal.reason);
    }
  });

  test("waits up to drainMs for bodies, which still hold their lock", async () => {
    const locker = openLocker(database, { ttlMs: 4_000 });
    let lockOfBody: Lock | undefined;
    const run = locker.withLock("a", async (lock) => {
      lockOfBody = lock;
      await new Promise((resolve) => lock.signal.addEventListener("abort", resolve));
      // after close() was called: the lock is still there, and is renewed over its TTL
      const first = lock.expiresAt.getTime();
      await until("it is renewed", () => lock.expiresAt.getTime() > first);
      lock.assertHeld();
      return "ended in order";
    });
    await until("the body runs", () => lockOfBody);

    const closed = locker.close({ drainMs: 30_000 });

    expect(await run).toBe("ended in order");
    await closed;
    expect(await tokens()).toEqual([]);
  });

  test("does not wait longer than drainMs, and then releases beneath the body", async () => {
    const locker = openLocker(database);
    let endBody: (value: string) => void = () => undefined;
    const run = locker.withLock("a", () => new Promise<string>((resolve) => (endBody = resolve)));
    const outcome = run.then(
      () => "value",
      (error: unknown) => error,
    );
    await until("the body runs", () => locker.get("a"));

    await locker.close({ drainMs: 100 });

    expect(await tokens()).toEqual([]);
    endBody("late");
    // the body returned, but was not under the lock to its end
    expect(await outcome).toSatisfy((error) => error instanceof LeaseLostError && error.reason === "closed");
  });

  test("whoever closes it again when a signal fires waits for the same end", async () => {
    const locker = openLocker(database);
    const lock = await locker.acquire("a");
    let again: Promise<void> | undefined;
    lock.signal.addEventListener("abort", () => {
      again = locker.close(); // without the drainMs of the first
    });
    const closed = locker.close({ drainMs: 30_000 });
    expect(again).toBe(closed);
    expect(await tokens()).toHaveLength(1);
    lock.assertHeld();
    await lock.release();
    await closed;
  });

  test("tells a body that asks for the signal only now", async () => {
    const locker = openLocker(database);
    const lock = await locker.acquire("a");
    const closed = locker.close({ drainMs: 30_000 });
    expect(lock.signal.reason).toMatchObject({ code: "lease-lost", reason: "closed" });
    lock.assertHeld();
    await lock.release();
    await closed;
  });

  test("waits for a release that has begun, and finds the row locked by somebody's transaction", async () => {
    const locker = openLocker(database);
    const lock = await locker.acquire("a");
    const stranger = await openClient(database.url);
    try {
      let released: Promise<void> | undefined;
      let closed: Promise<void> | undefined;
      await stranger.begin(async (transaction) => {
        await transaction`select from leasehold.leases where key = 'a' for update`;
        released = lock.release();
        closed = locker.close();
        // long enough for it to come back busy many times
        await Promise.race([closed, released, sleep(300)]);
      });
      await expect(released).resolves.toBeUndefined();
      await closed;
      expect(await tokens()).toEqual([]);
    } finally {
      await stranger.end({ timeout: 1 });
    }
  });

  test("rejects with ClosedError what waits for the first connection", async () => {
    await using proxy = await startProxy(database.url);
    proxy.blackhole("both");
    const locker = openLocker(proxy.url(database.url));
    const calls = [locker.ready(), locker.acquire("a"), locker.check("a"), locker.ping()];
    const settled = Promise.allSettled(calls);

    await locker.close();

    for (const outcome of await settled) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "closed" } });
    }
  });

  test("called again waits for the same end; disposal is the same", async () => {
    const locker = openLocker(database);
    await locker.acquire("a");
    await Promise.all([locker.close(), locker.close({ drainMs: 5 }), locker[Symbol.asyncDispose]()]);
    expect(await tokens()).toEqual([]);
  });

  test("of a locker that was never used connects to nothing", async () => {
    await using proxy = await startProxy(database.url);
    await openLocker(proxy.url(database.url)).close();
    expect(proxy.connections).toEqual([]);
  });

  test.each([-1, 1.5, Number.NaN, "1", null])("refuses drainMs %s, and does not close", async (drainMs) => {
    await using locker = openLocker(database);
    await expect(locker.close({ drainMs: drainMs as number })).rejects.toMatchObject({ option: "drainMs" });
    expect(await locker.isLocked("a")).toBe(false);
  });

  test("never ends a client that it was given", async () => {
    const sql = postgres(database.url, { max: 2 });
    try {
      const locker = createLocker({ client: sql });
      await locker.acquire("a");
      await locker.close();
      expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
      expect(await tokens()).toEqual([]);
    } finally {
      await sql.end();
    }
  });
});
