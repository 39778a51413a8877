import pg from "pg";
import postgres from "postgres";
import { describe, expect, test } from "vitest";
import { createLocker, type LockerOptions } from "../../src/index.js";
import { createDatabase, createRole } from "../support/database.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { kinds, openPool, openPostgresJs, simpleKinds, undefinedForNull } from "./given-clients.js";

const database = await createDatabase();

const over = kinds(database.url);

describe.each(Object.entries(over))("%s", (_, open) => {
  test("carries the commands, and is neither ended nor changed", async () => {
    const { client, one } = open();
    const locker = createLocker({ client, ttlMs: 5_000, takeoverDelayMs: 5_000 } as LockerOptions);
    const metadata = { some_name: [1, "x", null] };

    const lock = await locker.acquire("a'\\{}\",é", { metadata, owner: 'o"w\\n{e}r' });
    const info = await locker.check(lock.key);
    const waiting = locker.acquire(lock.key);
    await until("it waits", async () => (await database.sql`select from leasehold.waiters`).length === 1);
    const before = lock.expiresAt.getTime();
    await until("it is renewed", () => lock.expiresAt.getTime() > before);
    expect(await locker.tryWithLock(lock.key, () => 1)).toMatchObject({
      acquired: false,
      holder: { owner: lock.owner },
    });
    await lock.release();
    const next = await waiting;

    expect(info).toMatchObject({ state: "held", owner: lock.owner, metadata, fence: lock.fence, waiters: 0 });
    expect(info?.isSessionAlive).toBe(true);
    expect(next.fence).toBeGreaterThan(lock.fence);
    expect((await locker.ping()).serverVersion).toMatch(/^\d+/);
    await locker.close();
    expect(await database.sql`select from leasehold.leases where token is not null`).toHaveLength(0);
    expect(await one()).toEqual({ one: 1 });
  });
});

test("with a client that makes undefined of null a wait behind a silent head of the queue ends, and what is not there is null", async () => {
  const { client } = openPostgresJs(database.url, { transform: undefinedForNull });
  await using locker = createLocker({ client });
  await database.sql`insert into leasehold.leases (key, fence, ttl_ms, queued) values ('silent', 0, 0, true)`;
  await database.sql`
    insert into leasehold.waiters (key, ticket, token, owner, enqueued_at, alive_until)
    values ('silent', 0, gen_random_uuid(), 'nobody', now(), now() + interval '1 day')`;

  await expect(locker.acquire("silent", { waitMs: 300 })).rejects.toMatchObject({ code: "wait-timeout", holder: null });

  await database.sql`delete from leasehold.waiters`;
  await locker.withLock("silent", async () => {
    expect(await locker.check("silent")).toMatchObject({ state: "held", metadata: null, blockingPid: null });
  });
});

describe.each(simpleKinds)("$name", ({ open }) => {
  test("the session takes its address, its role and its password from it", async () => {
    const role = await createRole(database, { grantUsage: true });
    await using locker = createLocker({ client: open(role.url).client });
    await locker.withLock("a", async () => {
      const [session] = await database.sql`
        select a.usename as role, a.datname as database from leasehold.sessions s join pg_stat_activity a on a.pid = s.pid`;
      expect(session).toEqual({ role: role.name, database: database.name });
    });
  });

  test("commands go through it, and only the session and the renewals have connections of their own", async () => {
    await using locker = createLocker({ client: open(database.url).client });
    await locker.withLock("a", async (lock) => {
      await lock.renew();
      const names = await database.sql`
        select application_name as name from pg_stat_activity
         where datname = current_database() and application_name in ('the application', 'leasehold session', 'leasehold renewals', 'leasehold commands')
         order by 1`;
      expect(names.map(({ name }) => name)).toEqual(["leasehold renewals", "leasehold session", "the application"]);
    });
  });

  test("one connection that is busy with the application's own transaction delays, and does not deadlock", async () => {
    const { client, transaction } = open(database.url);
    await using locker = createLocker({ client, requestTimeoutMs: 5_000 });
    await locker.ready();
    let pending: Promise<unknown> | undefined;
    await transaction(async (run) => {
      pending = locker.withLock("a", () => "value");
      await run("select pg_sleep(0.2)");
    });
    expect(await pending).toBe("value");
  });

  test("when the user has ended it nothing is sent, and the error says so", async () => {
    const { client, end } = open(database.url);
    await using locker = createLocker({ client, directUrl: database.url, requestTimeoutMs: 3_000 });
    await locker.ready();
    await end();

    const error: unknown = await locker.check("a").catch((error: unknown) => error);

    expect(error).toMatchObject({ code: "unavailable", outcome: "not-sent", cause: expect.any(Error) });
    expect((error as Error).message).toMatch(
      /^The given client was ended, so nothing was sent: the (client|pool) was ended\./,
    );
  });

  test("when the user ends it, a wait ends, too: that will not pass", async () => {
    const { client, end } = open(database.url);
    await using holder = createLocker({ url: database.url });
    await using locker = createLocker({ client, directUrl: database.url, requestTimeoutMs: 3_000 });
    await using _ = await holder.acquire("ended");
    const waiting = locker.acquire("ended", { waitMs: Number.POSITIVE_INFINITY }).catch((error: unknown) => error);
    await until("it waits", async () => (await database.sql`select from leasehold.waiters`).length === 1);
    await end();
    expect(await waiting).toMatchObject({ code: "unavailable", message: expect.stringContaining("was ended") });
    await database.sql`delete from leasehold.waiters`;
  });

  test("the second outage is told as the first was", async () => {
    await using proxy = await startProxy(database.url);
    const { client } = open(proxy.url(database.url));
    const errors: unknown[] = [];
    await using holder = createLocker({ url: database.url });
    await using locker = createLocker({
      client,
      directUrl: database.url,
      presence: "off",
      requestTimeoutMs: 2_000,
      onError: (error) => errors.push(error),
    });
    const held = await holder.acquire("twice");
    const waiting = locker.acquire("twice", { waitMs: 120_000 });
    await until("it waits", async () => (await database.sql`select from leasehold.waiters`).length === 1);
    for (let outage = 1; outage <= 2; outage += 1) {
      await proxy.refuse(true);
      proxy.cutAll();
      await until("it is told", () => errors.length === outage);
      await proxy.refuse(false);
      await until("it is answered", () =>
        locker.check("twice").then(
          () => true,
          () => false,
        ),
      );
    }
    await held.release();
    await (await waiting).release();
    expect(errors).toHaveLength(2);
  });
});

test("a client that changes the names of our columns is refused at once, in words that say so", () => {
  const { client } = openPostgresJs(database.url, { transform: postgres.pascal });
  expect(() => createLocker({ client })).toThrow(
    /client: expected a client whose transform.column keeps .*postgres.pascal/,
  );
});

test("a Pool that reads in the binary format is refused", () => {
  const { client } = openPool(database.url, { binary: true } as pg.PoolConfig);
  expect(() => createLocker({ client })).toThrow(/client: expected a Pool without binary: true/);
});

test("what is no pool is refused: a client of node-postgres, a connection of its pool, a transaction of postgres.js", async () => {
  const { client: pool } = openPool(database.url, { max: 1 });
  const connection = await pool.connect();
  try {
    for (const client of [new pg.Client(), connection, {}, null, "postgres://localhost"]) {
      expect(() => createLocker({ client: client as never })).toThrow(
        /client: expected a client made with postgres\(\) or a Pool of node-postgres, not a transaction/,
      );
    }
  } finally {
    connection.release();
  }
});
