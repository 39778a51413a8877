// The network between the locker and Postgres: cut, silent in both directions or one, slow.
import { expect, test } from "vitest";
import { createLocker, type Locker, type LockerOptions, UnavailableError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { type PostgresProxy, startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { everyCall } from "./every-call.js";
import { settled } from "./settled.js";

const database = await createDatabase();
const { sql } = database;
const requestTimeoutMs = 3_000;
const presences = ["on", "off"] as const;
const directions = ["both", "to-server", "to-client"] as const;

function options(proxy: PostgresProxy, more: LockerOptions): LockerOptions {
  return { url: proxy.url(database.url), ttlMs: 30_000, requestTimeoutMs, connectTimeoutMs: requestTimeoutMs, ...more };
}

/** The same address, said to lead through a transaction pooler. */
const pooled = (url: string): string => `${url}${url.includes("?") ? "&" : "?"}pgbouncer=true`;
const through = (proxy: PostgresProxy, more: LockerOptions): Locker => openLocker("", options(proxy, more));

test.each(presences.flatMap((presence) => directions.map((direction) => [presence, direction] as const)))(
  "in a silent network every call settles as unavailable, and works again afterwards (presence: %s, silent: %s)",
  async (presence, direction) => {
    const [held, released] = [`silent-${presence}-${direction}`, `silent-released-${presence}-${direction}`];
    await using proxy = await startProxy(database.url);
    await using locker = through(proxy, { presence, ttlMs: 60_000 });
    await using lock = await locker.acquire(held);
    const calls = everyCall(locker, { renewed: lock, released: await locker.acquire(released) });
    const { signal } = lock;

    proxy.blackhole(direction);
    const outcomes = Object.entries(calls).map(
      async ([name, call]) => [name, await settled(call(), requestTimeoutMs)] as const,
    );
    const failed = Object.fromEntries(await Promise.all(outcomes));
    proxy.heal();

    for (const [name, outcome] of Object.entries(failed)) {
      // the session may not have heard yet that it is alone: then there is nothing to ask
      if (name === "ready" && outcome.error === undefined) continue;
      expect(outcome.error, name).toBeInstanceOf(UnavailableError);
    }
    await until("it is held again", () => lock.held);
    expect(signal.aborted).toBe(false);
    await (await locker.acquire("silent-after")).release();
    await until("nothing else is held", async () => {
      const rows = await sql`select key from leasehold.leases where token is not null`;
      return rows.length === 1 && rows[0]?.key === held;
    });
    expect(await sql`select from leasehold.waiters`).toHaveLength(0);
  },
);

test.each([...directions.map((direction) => ["on", direction] as const), ["off", "both"] as const])(
  "close() settles in a silent network, with a lock, a wait and a call open (presence: %s, silent: %s)",
  async (presence, direction) => {
    const key = `close-${presence}-${direction}`;
    await using proxy = await startProxy(database.url);
    await using other = openLocker(database);
    await using busy = await other.acquire(`${key}-busy`);
    const locker = createLocker(options(proxy, { presence, ttlMs: 30_000 }));
    const { signal } = await locker.acquire(key);
    const waiting = settled(locker.acquire(busy.key, { waitMs: 60_000 }), requestTimeoutMs * 10);
    await until("it is in the queue", async () => (await sql`select from leasehold.waiters`).length > 0);

    proxy.blackhole(direction);
    const asking = settled(locker.check(key), requestTimeoutMs);
    const closed = await settled(locker.close(), requestTimeoutMs);

    expect(closed).toEqual({ value: undefined });
    expect(signal.reason).toMatchObject({ reason: "closed" });
    expect(await waiting).toMatchObject({ error: { name: "ClosedError" } });
    expect((await asking).error).toBeInstanceOf(Error);
    await expect(locker.acquire(key)).rejects.toMatchObject({ name: "ClosedError" });
    // nobody could be told: the tables forget it by themselves
    expectLeft(database, "leases", "waiters", "sessions");
  },
);

test.each(presences)(
  "cut again and again, a locker keeps its lock, serves its callers, and ends clean (presence: %s)",
  async (presence) => {
    const key = `cut-${presence}`;
    await using proxy = await startProxy(database.url);
    await using locker = through(proxy, {
      presence,
      requestTimeoutMs: 20_000,
      connectTimeoutMs: 5_000,
      renewEveryMs: 100,
    });
    await using lock = await locker.acquire(key);
    const { signal } = lock;
    const fences: string[] = []; // of two keys each: those may have one fence
    let cuts = 0;
    const turns = async (name: string) => {
      while (cuts < 4) {
        fences.push(await locker.withLock(name, ({ fence }) => `${name} ${fence}`));
      }
    };

    let isDone = false;
    const working = Promise.all([turns(`${key}-a`), turns(`${key}-b`)]).then(() => {
      isDone = true;
    });
    while (!isDone) {
      // in the middle of whatever comes next
      await Promise.race([
        proxy.onStatement(/leasehold_internal\.(acquire|acquire_first|acquire_one|release|renew|heartbeat)\(/),
        working,
      ]);
      if (isDone) break;
      cuts += proxy.connections.length > 0 ? 1 : 0;
      proxy.cutAll();
      await Promise.race([until("it works again", () => fences.length >= cuts), working]);
    }

    expect(new Set(fences).size).toBe(fences.length);
    await until("it is held again", () => lock.held);
    expect(signal.aborted).toBe(false);
    expect(await leaseRow(sql, key)).toMatchObject(grantOf(lock));
  },
);

test.each(presences)("in an outage the listener of keepAlive is told, once (presence: %s)", async (presence) => {
  await using proxy = await startProxy(database.url);
  await using locker = through(proxy, { presence, ttlMs: 60_000 });
  await using lock = await locker.acquire(`told-${presence}`, { keepAlive: false });
  const told: unknown[] = [];
  lock.keepAlive({ everyMs: 100, onError: (error) => told.push(error) });

  proxy.blackhole("both");
  await until("it is told", () => told.length > 0);
  proxy.heal();
  const { expiresAt } = lock;
  await until("it is renewed again", () => lock.expiresAt > expiresAt && lock.held);

  expect(told).toHaveLength(1);
  expect(told[0]).toBeInstanceOf(UnavailableError);
});

test.each(presences)(
  "on a slow connection everything works, belief ends no later for it, and close() leaves nothing (presence: %s)",
  async (presence) => {
    const key = `slow-${presence}`;
    await using proxy = await startProxy(database.url);
    proxy.delayMs.toServer = 25;
    proxy.delayMs.toClient = 25;
    await using locker = through(proxy, {
      presence,
      requestTimeoutMs: 5_000,
      connectTimeoutMs: 5_000,
      takeoverDelayMs: 20_000,
    });
    await using other = openLocker(database);
    const lock = await locker.acquire(key, { ttlMs: 20_000, keepAlive: false });
    const { expiresAt } = await leaseRow(sql, key);
    const [row] = await sql`select extract(epoch from clock_timestamp())::float8 * 1000 as now`;

    // read after the server was, so it is less by the time between, and by the answer's way
    expect(lock.remainingMs).toBeLessThan(expiresAt - row?.now);
    await lock.renew(40_000);
    expect(lock.ttlMs).toBe(40_000);
    const waiting = other.acquire(key);
    await lock.release();
    await (await waiting).release();
    expect(await locker.withLock(key, ({ held }) => held)).toBe(true);
  },
);

test.each(["on", "off", "pooled"] as const)(
  "the first call on a slow connection is done within the default timeout of a request (presence: %s)",
  async (presence) => {
    await using proxy = await startProxy(database.url);
    // from Europe to the west of America: 33 round trips would be too many
    proxy.delayMs.toServer = 75;
    proxy.delayMs.toClient = 75;
    const url = proxy.url(database.url);
    await using locker =
      presence === "pooled" ? openLocker(pooled(url), { directUrl: url }) : openLocker(url, { presence });

    expect(await locker.withLock(`first-${presence}`, ({ held }) => held)).toBe(true);
  },
);
