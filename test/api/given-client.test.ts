import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import { describe, expect, onTestFinished, test } from "vitest";
import { createLocker, type LockerOptions } from "../../src/index.js";
import { createDatabase, createRole } from "../support/database.js";
import { until } from "../support/until.js";

const database = await createDatabase();

type Options = postgres.Options<Record<string, never>>;

const clients: Record<string, () => postgres.Sql> = {
  "plain, of several connections": () => open({}),
  "of one connection": () => open({ max: 1 }),
  "with transform: postgres.camel": () => open({ transform: postgres.camel }),
  "with a transform of columns, rows and values": () =>
    open({
      transform: {
        undefined: null,
        column: { from: (name: string) => `C_${name.toUpperCase()}`.replace(/^C_(.*)$/, (_, n) => n.toLowerCase()) },
      },
    }),
  "with a transform that makes undefined of null": () =>
    open({ transform: { value: { from: (value: unknown) => (value === null ? undefined : value) } } }),
  "wrapped by drizzle()": () => {
    const sql = open({});
    drizzle(sql);
    return sql;
  },
  "without prepared statements": () => open({ prepare: false }),
  "with fetch_types and its own parsers": () => open({ types: { bigint: postgres.BigInt } } as unknown as Options),
  "in debug mode": () => open({ debug: () => undefined }),
};

function open(options: Options): postgres.Sql {
  const sql = postgres(database.url, { max: 3, ...options });
  onTestFinished(() => sql.end({ timeout: 1 }));
  return sql;
}

describe.each(Object.entries(clients))("a given client %s", (_, openClient) => {
  test("carries the commands, and is neither ended nor changed", async () => {
    const sql = openClient();
    const locker = createLocker({ client: sql, ttlMs: 5_000, takeoverDelayMs: 5_000 } as LockerOptions);
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
    const [row] = await sql`select 1 as one`;
    expect(row).toEqual({ one: 1 });
  });
});

test("with a client that makes undefined of null a wait behind a silent head of the queue ends, and what is not there is null", async () => {
  const sql = clients["with a transform that makes undefined of null"]?.();
  await using locker = createLocker({ client: sql } as LockerOptions);
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

test("the session takes its address, its role and its password from the given client", async () => {
  const role = await createRole(database, { grantUsage: true });
  const sql = postgres(role.url, { max: 1 });
  onTestFinished(() => sql.end({ timeout: 1 }));
  await using locker = createLocker({ client: sql });
  await locker.withLock("a", async () => {
    const [session] = await database.sql`
      select a.usename as role, a.datname as database from leasehold.sessions s join pg_stat_activity a on a.pid = s.pid`;
    expect(session).toEqual({ role: role.name, database: database.name });
  });
});

test("commands go through the given client, and only the session and the renewals have connections of their own", async () => {
  const sql = postgres(database.url, { max: 1, connection: { application_name: "the application" } });
  onTestFinished(() => sql.end({ timeout: 1 }));
  await using locker = createLocker({ client: sql });
  await locker.withLock("a", async (lock) => {
    await lock.renew();
    const names = await database.sql`
      select application_name as name from pg_stat_activity
       where datname = current_database() and application_name in ('the application', 'leasehold session', 'leasehold renewals', 'leasehold commands')
       order by 1`;
    expect(names.map(({ name }) => name)).toEqual(["leasehold renewals", "leasehold session", "the application"]);
  });
});

test("a client of one connection that is busy with the application's own transaction delays, and does not deadlock", async () => {
  const sql = postgres(database.url, { max: 1 });
  onTestFinished(() => sql.end({ timeout: 1 }));
  await using locker = createLocker({ client: sql, requestTimeoutMs: 5_000 });
  await locker.ready();
  let pending: Promise<unknown> | undefined;
  await sql.begin(async (tx) => {
    pending = locker.withLock("a", () => "value");
    await tx`select pg_sleep(0.2)`;
  });
  expect(await pending).toBe("value");
});

test("a client that changes the names of our columns is refused at once, in words that say so", () => {
  const sql = open({ transform: postgres.pascal });
  expect(() => createLocker({ client: sql })).toThrow(
    /client: expected a client whose transform.column keeps .*postgres.pascal/,
  );
});

test("through a client that the user has ended nothing is sent, and the error says so", async () => {
  const sql = open({});
  await using locker = createLocker({ client: sql, directUrl: database.url, requestTimeoutMs: 1_000 });
  await locker.ready();
  await sql.end();

  const error = await locker.check("a").catch((error: unknown) => error);

  expect(error).toMatchObject({ code: "unavailable", outcome: "not-sent", cause: { code: "CONNECTION_ENDED" } });
});
