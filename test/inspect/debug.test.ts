// locker.debug(): what is going on in a locker, whatever state it and the server are in.
import postgres from "postgres";
import { expect, test } from "vitest";
import type { DebugInfo, DebugServer, Locker } from "../../src/index.js";
import { VERSION } from "../../src/runtime/version.js";
import { changeUrl, openClient } from "../support/client.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase, createEmptyDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startPgBouncer } from "../support/pgbouncer.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;
const iso = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const closedConnection = { state: "none", pid: null, since: null, inFlight: 0, waiting: 0 };

/** As it comes out of a log. */
async function debug(locker: Locker): Promise<DebugInfo> {
  const info = await locker.debug();
  expect(JSON.parse(JSON.stringify(info))).toEqual(info);
  return info;
}

function serverOf({ server }: DebugInfo): DebugServer {
  if (!server.isReachable) throw new Error(`the server is not reachable: ${server.error.message}`);
  if (!("schema" in server)) throw new Error("it is not Postgres");
  return server;
}

test("a locker that did nothing yet has no connections, and asks the server all the same", async () => {
  await using locker = openLocker(database, { owner: "me" });
  const info = await debug(locker);
  const [{ version, role }] =
    (await sql`select current_setting('server_version') as version, current_user as role`) as [
      { version: string; role: string },
    ];

  expect(info).toMatchObject({ at: iso, version: VERSION, lockerId: expect.any(Number), state: "open" });
  expect(info).toMatchObject({ locks: [], lost: [], waits: [], errors: [] });
  expect(info.connections).toEqual({
    session: {
      ...closedConnection,
      id: null,
      incarnation: 0,
      standingSince: null,
      seenAt: null,
      isBelieved: false,
    },
    commands: closedConnection,
    renewals: closedConnection,
  });
  expect(info.server).toMatchObject({
    isReachable: true,
    version,
    role,
    database: database.name,
    isInRecovery: false,
    schema: { version: expect.any(Number), minClient: 2, fenceSource: "auto", mayForceRelease: true },
    schemaError: null,
  });
  expect(Math.abs(serverOf(info).clockAheadMs)).toBeLessThan(60_000);
});

test("it shows the connections with their server processes", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("a");
  await lock.renew();
  const { connections } = await debug(locker);
  const rows = await sql`select pid, application_name from pg_stat_activity
    where datname = current_database() and application_name like 'leasehold%'`;
  const pids = Object.fromEntries(rows.map((row) => [row.application_name, row.pid]));
  const [session] = await sql`select id from leasehold.sessions`;
  await lock.release();

  const open = { state: "open", since: iso, waiting: 0 };
  expect(connections).toMatchObject({
    session: {
      ...open,
      pid: pids["leasehold session"],
      id: session?.id,
      incarnation: 1,
      standingSince: iso,
      seenAt: iso,
      isBelieved: true,
    },
    commands: { ...open, pid: pids["leasehold commands"], inFlight: 0 },
    renewals: { ...open, pid: pids["leasehold renewals"], inFlight: 0 },
  });
});

test("it counts the statements that have no answer, and those that wait to be sent", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { presence: "off" });
  const hello = proxy.holdStatement(/pg_is_in_recovery/);
  const ready = locker.ready();
  await hello.arrived;
  const connecting = locker.debug();
  await hello.forward();
  await ready;
  expect((await connecting).connections?.commands).toMatchObject({ state: "connecting", inFlight: 0, waiting: 2 });

  const held = proxy.holdStatement(/leasehold_internal\.inspect/);
  const checks = [locker.check("a"), locker.check("b"), locker.check("c")];
  await held.arrived;
  const asking = locker.debug();
  await held.forward();
  expect((await asking).connections?.commands).toMatchObject({ state: "open", inFlight: 3, waiting: 0 });
  await Promise.all(checks);
  expect((await debug(locker)).connections).toMatchObject({ session: null, commands: { inFlight: 0, waiting: 0 } });
});

test("it shows what is held, and how long for", async () => {
  await using locker = openLocker(database, { prefix: "app:", owner: "me" });
  const lock = await locker.acquire("a", { ttlMs: 60_000, metadata: { job: 7 } });
  const { locks } = await debug(locker);
  await lock.release();

  const { fence } = lock;
  const times = { acquiredAt: iso, expiresAt: iso, remainingMs: expect.any(Number), heldMs: expect.any(Number) };
  expect(locks).toEqual([
    {
      key: "app:a",
      fence: `${fence}`,
      owner: "me",
      ttlMs: 60_000,
      mode: "exclusive",
      weight: 1,
      metadata: { job: 7 },
      held: true,
      ...times,
      instance: null,
    },
  ]);
  expect(locks[0]?.remainingMs).toBeGreaterThan(0);
});

test("it shows who waits, for whom, since when and how often it looked", async () => {
  await using holder = openLocker(database, { owner: "holder" });
  await using locker = openLocker(database, { owner: "waiter", waitMs: 60_000 });
  const held = await holder.acquire("a");
  const waiting = locker.acquire("a");
  const forever = locker.acquire("a", { waitMs: Number.POSITIVE_INFINITY });
  const { waits } = await until("both have looked", async () => {
    const info = await debug(locker);
    return info.waits.filter(({ holder }) => holder !== null).length === 2 && info;
  });
  const tickets = await sql`select ticket::text from leasehold.waiters where key = 'a' order by waiters.ticket`;
  await held.release();
  for (const acquired of [waiting, forever]) await (await acquired).release();

  expect(waits).toMatchObject([
    {
      key: "a",
      owner: "waiter",
      mode: "exclusive",
      weight: 1,
      capacity: null,
      since: iso,
      waitedMs: expect.any(Number),
      waitMs: 60_000,
      holder: { owner: "holder", fence: `${held.fence}`, expiresAt: iso },
      blockingPid: null,
    },
    { key: "a", waitMs: "Infinity" },
  ]);
  expect(waits.map(({ ticket }) => ticket)).toEqual(tickets.map(({ ticket }) => ticket));
  expect(waits[0]?.attempts).toBeGreaterThan(0);
  expect((await debug(locker)).waits).toEqual([]);
});

test("it shows how a key is shared: by those who hold it, and those who wait for it", async () => {
  await using holder = openLocker(database);
  await using locker = openLocker(database, { waitMs: 60_000 });
  const held = await holder.acquire("a");
  const waits = [{ shared: true }, { capacity: 5, weight: 2 }].map((options) => locker.acquire("a", options));
  const waiting = await until("both are shown", async () => {
    const info = await debug(locker);
    return info.waits.length === 2 && info.waits;
  });
  await held.release();
  const locks = await Promise.all(waits);
  const shown = (await debug(locker)).locks;
  for (const lock of locks) await lock.release();

  const asked = ({ mode, weight, capacity }: (typeof waiting)[number]) => [mode, weight, capacity];
  expect(waiting.map(asked).sort()).toEqual([
    ["semaphore", 2, 5],
    ["shared", 1, null],
  ]);
  expect(shown.map(({ mode, weight }) => [mode, weight]).sort()).toEqual([
    ["semaphore", 2],
    ["shared", 1],
  ]);
});

test("it shows which transaction keeps a waiter's row", async () => {
  await using locker = openLocker(database);
  const other = await openClient(database.url);
  try {
    const lock = await locker.acquire("a");
    await other`begin`;
    await other`select leasehold.guard('a', ${String(lock.fence)}::bigint)`;
    const [self] = await other`select pg_backend_pid() as pid`;
    await lock.release();
    const waiting = locker.acquire("a");
    const wait = await until("it is blocked", async () =>
      (await debug(locker)).waits.find(({ blockingPid }) => blockingPid !== null),
    );
    expect(wait.blockingPid).toBe(self?.pid);
    await other`rollback`;
    await (await waiting).release();
  } finally {
    await other.end();
  }
});

test("the options are shown in full, and of addresses and connections only what is no secret", async () => {
  const { hostname, port } = new URL(database.url);
  const password = () => new URL(database.url).password;
  const url = `${changeUrl(database.url, { password: "sesame" })}?application_name=hidden-app`;
  await using locker = openLocker(url, {
    connection: { password, ssl: false, keep_alive: 30, connection: { search_path: "secret_path" } },
    idleTimeoutMs: Number.POSITIVE_INFINITY,
    prefix: "app:",
    metadata: { job: 1 },
    onLost: () => undefined,
  });
  const { options } = await debug(locker);

  const address = `postgres://${hostname}:${port || 5432}/${database.name}`;
  expect(options).toMatchObject({
    url: address,
    directUrl: address,
    client: null,
    connection: { password: "[function]", ssl: false, keep_alive: 30, connection: "[hidden]" },
    presence: "on",
    prefix: "app:",
    ttlMs: 30_000,
    maxHoldMs: "Infinity",
    idleTimeoutMs: "Infinity",
    renewEveryMs: null,
    metadata: { job: 1 },
    onLost: "[function]",
    onError: null,
  });
});

test("several hosts, an IPv6 address and a socket's path are shown as addresses", async () => {
  const shownFor = async (url: string) => {
    await using locker = openLocker(url, { requestTimeoutMs: 50, connectTimeoutMs: 50 });
    return (await debug(locker)).options.url;
  };
  expect(await shownFor("postgres://u:p@127.0.0.1:1,[::1]:1/app")).toBe("postgres://127.0.0.1:1,[::1]:1/app");
  expect(await shownFor("postgres://u:p@%2Fnowhere/app")).toBe("postgres://%2Fnowhere%2F.s.PGSQL.5432/app");
});

test("a client that was given is shown as such, with its statements", async () => {
  const client = postgres(database.url, { max: 2 });
  try {
    await using locker = openLocker(database, { client, url: undefined });
    await locker.ready();
    const pinging = locker.ping();
    const info = await until("a statement is on its way", async () => {
      const found = await locker.debug();
      return found.connections?.commands.state === "given" && found;
    });
    await pinging;
    expect(info).toMatchObject({
      options: { client: "[client]", url: null },
      connections: { commands: { pid: null } },
    });
  } finally {
    await client.end();
  }
});

test("through a transaction pooler it works, too, and shows no server process, since that changes", async ({
  skip,
}) => {
  await using pgbouncer = await startPgBouncer(database.url, { poolSize: 2 });
  if (!pgbouncer) return skip("PgBouncer is not installed");
  await using locker = openLocker(pgbouncer.url(database.url), { directUrl: database.url });
  await locker.ready();
  expect(await debug(locker)).toMatchObject({
    connections: { session: { state: "open", pid: expect.any(Number) }, commands: { state: "open", pid: null } },
    server: { isReachable: true, schema: { fenceSource: "auto" } },
  });
  expect(await locker.capabilities()).toMatchObject({ commands: "pooled" });
});

test("with the server gone it says so, and everything else", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { requestTimeoutMs: 3_000, connectTimeoutMs: 3_000 });
  const lock = await locker.acquire("a");
  await proxy.refuse(true);
  proxy.cutAll();
  const info = await until("the session is lost", async () => {
    const found = await debug(locker);
    return found.connections?.session?.state === "connecting" && found;
  });

  expect(info.server).toMatchObject({
    isReachable: false,
    error: { name: "UnavailableError", code: "unavailable", cause: { code: "ECONNREFUSED" } },
  });
  expect(info.locks).toMatchObject([{ key: "a", fence: `${lock.fence}` }]);
  const lost = await until("the errors tell", async () =>
    (await debug(locker)).errors.find(({ cause }) => cause?.code === "ECONNREFUSED"),
  );
  expect(lost).toMatchObject({ code: "unavailable", firstAt: iso, lastAt: iso, count: expect.any(Number) });

  await proxy.refuse(false);
  const back = await until("the session is back", async () => {
    const session = (await debug(locker)).connections?.session;
    return session?.state === "open" && session;
  });
  expect(back.incarnation).toBe(2);
  await lock.release();
});

test("a server that is silent does not keep it waiting for longer than requestTimeoutMs", async () => {
  await using proxy = await startProxy(database.url);
  const options = { requestTimeoutMs: 3_000, connectTimeoutMs: 3_600_000, presence: "off" } as const;
  await using connected = openLocker(proxy.url(database.url), options);
  await connected.ready();
  proxy.blackhole();
  await using connecting = openLocker(proxy.url(database.url), options);
  for (const locker of [connected, connecting]) {
    expect((await debug(locker)).server).toMatchObject({ isReachable: false, error: { code: "unavailable" } });
  }
  proxy.heal();
});

test("without the schema it says what is missing", async () => {
  const empty = await createEmptyDatabase();
  await using locker = openLocker(empty);
  const info = await debug(locker);
  expect(info.server).toMatchObject({ isReachable: true, schema: null, schemaError: { code: "not-migrated" } });
});

test("a role without rights is told the rest", async () => {
  const role = await createRole(database);
  await using locker = openLocker(role.url);
  expect((await debug(locker)).server).toMatchObject({
    role: role.name,
    schema: null,
    schemaError: { name: "NotPermittedError", message: expect.stringContaining("grant_usage") },
  });
});

test("while it closes, and when it is closed, it says so", async () => {
  const locker = openLocker(database);
  await locker.acquire("a");
  const closing = locker.close({ drainMs: 3_000 });
  expect(await debug(locker)).toMatchObject({ state: "closing", locks: [{ key: "a" }] });
  await closing;
  expect(await debug(locker)).toMatchObject({
    state: "closed",
    locks: [],
    connections: { session: closedConnection, commands: closedConnection },
    server: { isReachable: false, error: { code: "closed" } },
  });
});

test("the oldest transaction of the database is named, to a plain role without its time", async () => {
  const role = await createRole(database, { grantUsage: true });
  await using asOwner = openLocker(database);
  await using asRole = openLocker(role.url);
  const old = await openClient(database.url);
  try {
    await old`begin isolation level repeatable read`;
    const [self] = await old`select pg_backend_pid() as pid, current_user as role`;
    await sql`create table aging (id int)`;

    const seen = { kind: "backend", pid: self?.pid, name: "test support", role: self?.role };
    const state = "idle in transaction";
    const owners = serverOf(await debug(asOwner)).horizon;
    expect(owners).toMatchObject({ ...seen, since: iso, state });
    expect(owners?.age).toBeGreaterThan(0);
    expect(serverOf(await debug(asRole)).horizon).toMatchObject({ ...seen, since: null, state: null });
  } finally {
    await old.end();
  }
  const gone = await until("it is over", async () => {
    const { horizon } = serverOf(await debug(asOwner));
    return horizon?.name !== "test support" && { horizon };
  });
  expect(gone.horizon).not.toMatchObject({ name: "test support" });
});

test("prepared transactions and replication slots hold the horizon, too, and are named", async () => {
  const prepared = { max_prepared_transactions: 5 };
  await using cluster = await startCluster({ settings: prepared });
  await using own = await createDatabase({ on: cluster });
  await using locker = openLocker(own, { presence: "off" });
  const burn = async () => {
    for (let times = 0; times < 5; times += 1) await own.sql`select txid_current()`;
  };
  const horizon = async () => serverOf(await debug(locker)).horizon;

  const [role] = await own.sql`select current_user as name, pg_create_physical_replication_slot('standby') as slot`;
  await own.sql.unsafe("begin; create table halves (id int); prepare transaction 'half of it'");
  await burn();
  expect(await horizon()).toMatchObject({
    kind: "prepared-transaction",
    name: "half of it",
    pid: null,
    role: role?.name,
    since: iso,
  });
  await own.sql`rollback prepared 'half of it'`;

  // through its slot, or without one through its connection
  const feedback = { hot_standby_feedback: "on", wal_receiver_status_interval: "1s" };
  const standbys = { "replication-slot": { ...feedback, primary_slot_name: "standby" }, standby: feedback };
  for (const [kind, settings] of Object.entries(standbys)) {
    await using standby = await cluster.createStandby({ settings: { ...prepared, ...settings } });
    await standby.caughtUp();
    const reader = await openClient(changeUrl(standby.url, { database: own.name }));
    try {
      await reader.unsafe("begin isolation level repeatable read; select from leasehold.leases");
      await burn();
      const held = await until("the standby has told the primary", async () => {
        await burn();
        const found = await horizon();
        return found?.kind === kind && found.age > 5 && found;
      });
      const name = kind === "standby" ? expect.any(String) : "standby";
      expect(held).toMatchObject({ name, pid: expect.any(Number), since: null });
    } finally {
      await reader.end();
    }
    await standby.destroy();
    // what is left of a slot would be the oldest for ever
    await until("the slot is not in use, and dropped", async () => {
      await own.sql`select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active`;
      return (await own.sql`select from pg_replication_slots`).length === 0;
    });
  }
});

test("what the role may not read is said, beside the rest", async () => {
  await using own = await createDatabase();
  await own.sql`revoke select on pg_replication_slots from public`;
  const role = await createRole(own, { grantUsage: true });
  await using locker = openLocker(role.url);
  expect((await debug(locker)).server).toMatchObject({
    isReachable: true,
    schema: { fenceSource: "auto" },
    horizon: null,
    horizonError: { code: "not-permitted" },
  });
});

test("an error that comes again is counted, and the list is bounded", async () => {
  let count = 0;
  await using locker = openLocker(database, {
    presence: "off",
    onAcquired: () => {
      count += 1;
      throw new Error(count <= 3 ? "the same" : `another ${count}`);
    },
    onError: () => undefined,
  });
  for (let times = 0; times < 3; times += 1) await locker.withLock("a", () => undefined);
  expect((await debug(locker)).errors).toMatchObject([{ name: "Error", code: null, message: "the same", count: 3 }]);

  for (let times = 0; times < 60; times += 1) await locker.withLock("a", () => undefined);
  const { errors } = await debug(locker);
  expect(errors).toHaveLength(50);
  expect(errors[0]?.message).toBe("another 63");
});
