// What the views say in each state, made with real processes and real transactions.
import type postgres from "postgres";
import { expect, test } from "vitest";
import { openClient } from "../support/client.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

const leaseOf = async (key: string) => (await sql`select * from leasehold.active_leases where key = ${key}`)[0];
const waitOf = async (owner: string) => (await sql`select * from leasehold.waiting where owner = ${owner}`)[0];
const overOf = async (key: string) => (await sql`select * from leasehold.expired_leases where key = ${key}`)[0];
const isWaiting = (owner: string) => until(`${owner} waits`, async () => (await waitOf(owner)) !== undefined);

test("a killed process: its session is not alive at once, its leases are orphaned when its takeover delay has passed", async () => {
  expectLeft(database, "sessions", "leases");
  const options = { owner: "victim", takeoverDelayMs: 5_000, ttlMs: 600_000 };
  await using holder = await openLockProcess(database, { options });
  await using locker = openLocker(database);
  const { fence } = await holder.acquire("killed");
  expect(await leaseOf("killed")).toMatchObject({ owner: "victim", is_session_alive: true });

  await holder.worker.kill("SIGKILL");
  await until("the server has noticed", async () => (await leaseOf("killed"))?.is_session_alive === false);
  // not confirmed dead: it could come back
  expect(await overOf("killed")).toBeUndefined();
  expect(await locker.check("killed")).toMatchObject({ state: "held", isSessionAlive: false });
  expect(await sql`select owner, is_alive, leases, waits from leasehold.live_sessions where owner = 'victim'`).toEqual([
    { owner: "victim", is_alive: false, leases: 1, waits: 0 },
  ]);

  const over = await until("it is confirmed dead", () => overOf("killed"));
  expect(over).toMatchObject({
    owner: "victim",
    reason: "orphaned",
    fence: String(fence),
    waiters: 0,
  });
  expect(over.expires_at.getTime()).toBeGreaterThan(Date.now());
  expect(await leaseOf("killed")).toBeUndefined();
  expect(await sql`select leases from leasehold.live_sessions where owner = 'victim'`).toEqual([{ leases: 0 }]);
  expect(await locker.check("killed")).toMatchObject({ state: "orphaned", isSessionAlive: false });
  await locker.withLock("killed", () => undefined, { waitMs: 0 });
  expect(await overOf("killed")).toBeUndefined();
});

test("a session that was silent before the server was started has its takeover delay from then on", async () => {
  expectLeft(database, "sessions", "leases");
  await sql`
    insert into leasehold.sessions (id, nonce, owner, pid, host, application_name, version, started_at, seen_at)
    values (4711, gen_random_uuid(), 'old', 1, 'host', '', '', '2001-01-01', '2001-01-01')`;
  const put = (key: string, takeoverMs: number) => sql`
    insert into leasehold.leases (key, token, fence, owner, session_id, ttl_ms, takeover_ms, min_hold_ms, acquired_at, renewed_at, expires_at, acquisitions)
    values (${key}, gen_random_uuid(), 1, 'old', 4711, 1000, ${takeoverMs}, 0, now(), now(), now() + interval '1 hour', 1)`;
  await put("at once", 1);
  await put("in a week", 604_800_000);
  const over = await sql`
    select key, reason, expired_for <= clock_timestamp() - pg_postmaster_start_time() as is_from_start
      from leasehold.expired_leases where owner = 'old'`;
  const [held] = await sql`select key, state from leasehold.active_leases where owner = 'old'`;
  await sql`delete from leasehold.leases where owner = 'old'`;
  await sql`delete from leasehold.sessions where id = 4711`;

  expect(over).toEqual([{ key: "at once", reason: "orphaned", is_from_start: true }]);
  expect(held).toEqual({ key: "in a week", state: "held" });
});

test("a frozen process: alive as a session, passed by in the queue, and its lease expires at its TTL", async () => {
  await using frozen = await openLockProcess(database, { options: { owner: "frozen", ttlMs: 6_000 } });
  await using other = openLocker(database, { owner: "other" });
  await using last = openLocker(database, { owner: "last" });
  await frozen.acquire("ice");
  await using taken = await other.acquire("water");
  await frozen.wait(["water"]);
  await isWaiting("frozen");
  const end = new AbortController();
  const wait = last.acquire("water", { signal: end.signal }).catch(() => undefined);
  await isWaiting("last");
  expect(await waitOf("last")).toMatchObject({
    position: 2,
    blocked_by: "other",
    blocked_by_fence: String(taken.fence),
  });

  frozen.worker.stop();
  await until("it is passed by", async () => (await waitOf("frozen"))?.is_alive === false);
  expect(await waitOf("frozen")).toMatchObject({ position: null, blocked_by: "other" });
  expect(await waitOf("last")).toMatchObject({ position: 1, is_alive: true });
  expect(await leaseOf("water")).toMatchObject({ waiters: 1 });
  expect(await sql`select is_alive, waits from leasehold.live_sessions where owner = 'frozen'`).toEqual([
    { is_alive: true, waits: 0 },
  ]);
  const over = await until("its lease has expired", () => overOf("ice"));
  expect(over).toMatchObject({ reason: "expired", owner: "frozen" });
  frozen.worker.cont();
  await frozen.worker.next("lost");
  end.abort();
  await wait;
  await frozen.close();
});

test("who waits is told who keeps the key: its holder, the last one of a minimum hold, nobody when it is free", async () => {
  await using holder = openLocker(database, { owner: "first", minHoldMs: 600_000 });
  await using waiter = openLocker(database, { owner: "second", presence: "off" });
  const lock = await holder.acquire("kept");
  const end = new AbortController();
  const wait = waiter.acquire("kept", { signal: end.signal }).catch(() => undefined);
  await isWaiting("second");
  const held = await waitOf("second");
  expect(held).toMatchObject({
    blocked_by: "first",
    blocked_by_fence: String(lock.fence),
    blocking_pid: null,
    pid: null,
  });
  expect(held?.blocked_since).toEqual(held?.waiting_since);

  await lock.release();
  expect(await waitOf("second")).toMatchObject({ blocked_by: "first", blocked_by_fence: String(lock.fence) });
  expect(await leaseOf("kept")).toMatchObject({ state: "cooling", owner: "first", waiters: 1 });
  expect(await overOf("kept")).toBeUndefined();

  // nobody wakes it for that: it is free until the next look
  const [row] = await sql.begin(async (tx) => {
    await tx`update leasehold.leases set hold_until = null where key = 'kept'`;
    return tx`select blocked_by, blocked_by_fence, blocked_since from leasehold.waiting where owner = 'second'`;
  });
  expect(row).toEqual({ blocked_by: null, blocked_by_fence: null, blocked_since: null });
  end.abort();
  await wait;
});

test("blocked_since is when the key passed to who keeps it now", async () => {
  await using first = openLocker(database, { owner: "one" });
  await using second = openLocker(database, { owner: "two" });
  await using third = openLocker(database, { owner: "three" });
  const lock = await first.acquire("passed");
  const next = second.acquire("passed");
  await isWaiting("two");
  const end = new AbortController();
  const wait = third.acquire("passed", { signal: end.signal }).catch(() => undefined);
  await isWaiting("three");
  await lock.release();
  await using held = await next;
  const row = await waitOf("three");
  expect(row).toMatchObject({ position: 1, blocked_by: "two", blocked_by_fence: String(held.fence) });
  expect(row?.blocked_since).toEqual(held.acquiredAt);
  expect(row?.blocked_since.getTime()).toBeGreaterThan(row?.waiting_since.getTime());
  end.abort();
  await wait;
});

test("a lease that was revoked is told, until its holder lets go", async () => {
  await using holder = openLocker(database, { keepAlive: false });
  await using operator = openLocker(database);
  const lock = await holder.acquire("revoked");
  expect(await leaseOf("revoked")).toMatchObject({ state: "held", revoked_at: null, free_at: lock.expiresAt });
  await operator.forceRelease("revoked");
  const revoked = await leaseOf("revoked");
  expect(revoked).toMatchObject({ state: "revoked", revoked_at: expect.any(Date), free_at: lock.expiresAt });
  await operator.forceRelease("revoked");
  expect(await leaseOf("revoked")).toMatchObject({ revoked_at: revoked?.revoked_at });
  // who waits is told that it is not free, and it counts as held
  expect(await sql`select active_leases from leasehold.stats`).toEqual([{ active_leases: 1 }]);
  await operator.forceRelease("revoked", { immediate: true });
  expect(await leaseOf("revoked")).toBeUndefined();
  await expect(lock.release()).rejects.toMatchObject({ reason: "forced" });
});

test("the durations of a lease fit its times, and go on within a transaction", async () => {
  await using locker = openLocker(database, { ttlMs: 45_000, maxHoldMs: 3_600_000, metadata: { a: [1] } });
  await using lock = await locker.acquire("timed");
  const look = (by: postgres.ISql) => by`
    select remaining + held_for = expires_at - acquired_at as fits, ttl = '45 seconds' as ttl, max_hold_until - acquired_at = '1 hour' as bound,
           renewed_at = acquired_at as fresh, remaining < ttl as passing, extract(epoch from held_for)::float8 as held, metadata, acquisitions
      from leasehold.active_leases where key = 'timed'`;
  await sql.begin(async (tx) => {
    const [before] = await look(tx);
    expect(before).toMatchObject({
      fits: true,
      ttl: true,
      bound: true,
      fresh: true,
      passing: true,
      metadata: { a: [1] },
      acquisitions: "1",
    });
    await tx`select pg_sleep(0.01)`;
    const [after] = await look(tx);
    expect(after?.held).toBeGreaterThan(before?.held + 0.01);
  });
  await lock.renew();
  const [renewed] = await look(sql);
  expect(renewed).toMatchObject({ fits: true, fresh: false });
});

test("an open transaction that guards a key is named, whoever holds the key and whatever became of the lease", async () => {
  await using holder = openLocker(database, { owner: "guarding", keepAlive: false });
  await using waiter = openLocker(database, { owner: "blocked" });
  const client = await openClient(database.url);
  const [backend] = await client`select pg_backend_pid() as pid`;
  const pid: unknown = backend?.pid;
  const lock = await holder.acquire("guarded");
  const end = new AbortController();
  const wait = waiter.acquire("guarded", { signal: end.signal }).catch(() => undefined);
  await isWaiting("blocked");
  expect(await waitOf("blocked")).toMatchObject({ blocking_pid: null });

  await client.begin(async (tx) => {
    await tx`select leasehold.guard('guarded', ${String(lock.fence)}::bigint)`;
    await until("it is named", async () => (await waitOf("blocked"))?.blocking_pid === pid);
    expect(await leaseOf("guarded")).toMatchObject({ state: "held", blocking_pid: pid, free_at: lock.expiresAt });
    await lock.release();
    expect(await waitOf("blocked")).toMatchObject({
      blocked_by: "guarding",
      blocking_pid: pid,
      blocking_transaction: null,
    });
    expect(await leaseOf("guarded")).toMatchObject({
      state: "blocked",
      owner: "guarding",
      fence: String(lock.fence),
      free_at: null,
      remaining: null,
      held_for: null,
      blocking_pid: pid,
      waiters: 1,
    });
  });
  await client.begin(async (tx) => {
    const again = await until("it is granted", () => waiter.get("guarded"));
    await tx`select leasehold.guard('guarded', ${String(again.fence)}::bigint)`;
    await sql`update leasehold.leases set expires_at = clock_timestamp() where key = 'guarded'`;
    // over, and yet nobody can be granted it
    const kept = { state: "expired", owner: "blocked", free_at: null, blocking_pid: pid };
    expect(await leaseOf("guarded")).toMatchObject(kept);
    expect(await overOf("guarded")).toBeUndefined();
    // its own connection sees it, too
    expect(await tx`select blocking_pid from leasehold.active_leases where key = 'guarded'`).toEqual([
      { blocking_pid: pid },
    ]);
  });
  expect(await leaseOf("guarded")).toBeUndefined();
  expect(await overOf("guarded")).toMatchObject({ reason: "expired", owner: "blocked" });
  await sql`delete from leasehold.leases where key = 'guarded'`;
  end.abort();
  await wait;
  await client.end();
});

test("of many keys that several transactions guard, each is told its own", async () => {
  const keys = Array.from({ length: 12 }, (_, number) => `many-${String(number).padStart(2, "0")}`);
  await using holder = openLocker(database, { keepAlive: false });
  const locks = await Promise.all(keys.map((key) => holder.acquire(key)));
  const clients = await Promise.all([0, 1, 2].map(() => openClient(database.url)));
  const pids: number[] = [];
  for (const [place, client] of clients.entries()) {
    pids.push((await client`select pg_backend_pid() as pid`)[0]?.pid);
    await client.unsafe("begin");
    for (const lock of locks.filter((_, number) => number % 4 === place)) {
      await client`select leasehold.guard(${lock.key}, ${String(lock.fence)}::bigint)`;
    }
  }
  // the last key is guarded by two, in a multixact
  const last = locks.at(-1);
  for (const client of clients.slice(0, 2))
    await client`select leasehold.guard(${String(last?.key)}, ${String(last?.fence)}::bigint)`;
  await sql`update leasehold.leases set expires_at = clock_timestamp() where key like 'many-%'`;

  const rows = await sql`
    select key, blocking_pid from leasehold.active_leases where key like 'many-%' and state = 'expired'
    union all select key, null from leasehold.expired_leases where key like 'many-%' order by key`;
  expect(rows.map(({ blocking_pid }) => blocking_pid)).toEqual(
    keys.map((_, number) => (number === 11 ? Math.min(...pids.slice(0, 2)) : (pids[number % 4] ?? null))),
  );
  for (const client of clients) {
    await client.unsafe("rollback");
    await client.end();
  }
  expect(await sql`select from leasehold.active_leases`).toHaveLength(0);
  await sql`delete from leasehold.leases where key like 'many-%'`;
});

test("a guard in a subtransaction that was released is told as long as it is the only one", async () => {
  await using holder = openLocker(database, { keepAlive: false });
  const lock = await holder.acquire("nested");
  await using _another = await holder.acquire("another");
  const [client, other] = [await openClient(database.url), await openClient(database.url)];
  const [backend] = await client`select pg_backend_pid() as pid`;
  await client.unsafe("begin; savepoint within");
  await client`select leasehold.guard('nested', ${String(lock.fence)}::bigint)`;
  await client.unsafe("release savepoint within");
  await sql`update leasehold.leases set expires_at = clock_timestamp() where key = 'nested'`;
  expect(await leaseOf("nested")).toMatchObject({ blocking_pid: backend?.pid });
  // with a second one it cannot be told which it is; but that it is kept, can
  await other.unsafe("begin; select from leasehold.leases where key = 'another' for share");
  expect(await leaseOf("nested")).toMatchObject({ state: "expired", blocking_pid: null, blocking_transaction: null });
  expect(await overOf("nested")).toBeUndefined();
  await other.unsafe("select from leasehold.leases where key = 'nested' for key share");
  // the one that can be told, is
  const [second] = await other`select pg_backend_pid() as pid`;
  expect(await leaseOf("nested")).toMatchObject({ blocking_pid: second?.pid });
  await other.unsafe("rollback");
  await client.unsafe("rollback");
  await other.end();
  await client.end();
  await sql`delete from leasehold.leases where key = 'nested'`;
});

test("a row that is written after the look at the locks is not taken for the only guard's", async () => {
  await using holder = openLocker(database, { keepAlive: false });
  const lock = await holder.acquire("guarded");
  await using _written = await holder.acquire("written");
  const [guard, writer] = [await openClient(database.url), await openClient(database.url)];
  await guard.unsafe("begin");
  await guard`select leasehold.guard('guarded', ${String(lock.fence)}::bigint)`;
  const [open] =
    await sql`select xids::text, pids, lone, oldest_multixact::text as oldest from leasehold_internal._open_transactions()`;
  const lockerOf = async (key: string) => {
    const [row] =
      await sql`select leasehold_internal._locker(xmax, ${open?.xids}::xid[], ${open?.lone}, ${open?.oldest}::xid) as place
      from leasehold.leases where key = ${key}`;
    return row?.place;
  };
  const places = [await lockerOf("guarded"), await lockerOf("written")];
  await writer.unsafe("begin; update leasehold.leases set renewed_at = renewed_at where key = 'written'");
  places.push(await lockerOf("written"));
  await writer.unsafe("rollback");
  places.push(await lockerOf("written"));
  await guard.unsafe("rollback");
  await guard.end();
  await writer.end();

  expect(open?.lone).toBe(1);
  expect(places).toEqual([1, null, 0, null]);
});

test("the views neither write nor wait for a writer, in whatever transaction they are read", async () => {
  await using locker = openLocker(database);
  await using lock = await locker.acquire("read");
  const stranger = await openClient(database.url);
  const views =
    await sql`select relname::text as name from pg_class where relnamespace = 'leasehold'::regnamespace and relkind = 'v'`;
  expect(views.length).toBeGreaterThanOrEqual(5);
  await stranger.begin(async (blocking) => {
    await blocking`lock table leasehold.leases, leasehold.waiters, leasehold.sessions in exclusive mode`;
    for (const isolation of ["read committed", "repeatable read", "serializable"]) {
      await sql.begin(`isolation level ${isolation} read only`, async (tx) => {
        for (const { name } of views) await tx.unsafe(`select * from leasehold.${name}`);
        const locks = await tx`
          select distinct mode from pg_locks where pid = pg_backend_pid() and locktype <> 'virtualxid' and mode not in ('AccessShareLock', 'SIReadLock')
          union all select 'xid' where pg_current_xact_id_if_assigned() is not null`;
        expect([...locks]).toEqual([]);
      });
    }
  });
  expect(lock.held).toBe(true);
  await stranger.end();
});

test("whatever advisory locks strangers take, the views can be read, and make no session of them", async () => {
  const stranger = await openClient(database.url);
  await stranger`select pg_advisory_lock(1279480140, -1), pg_advisory_lock(1279480140, 2147483647), pg_advisory_lock(1279480140)`;
  for (const {
    relname,
  } of await sql`select relname from pg_class where relnamespace = 'leasehold'::regnamespace and relkind = 'v'`) {
    await sql.unsafe(`select * from leasehold.${relname}`);
  }
  expect(await sql`select from leasehold.live_sessions`).toHaveLength(0);
  await stranger.end();
});

test("every view and column has a comment, and none of them shows a token", async () => {
  const rows = await sql`
    select c.relname::text as view, a.attname::text as column, format_type(a.atttypid, null) as type, col_description(c.oid, a.attnum) as comment
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
     where c.relnamespace = 'leasehold'::regnamespace and c.relkind = 'v'
    union all
    select c.relname::text, null, null, obj_description(c.oid, 'pg_class')
      from pg_class c where c.relnamespace = 'leasehold'::regnamespace and c.relkind = 'v'`;
  expect(rows.filter(({ comment }) => !comment)).toEqual([]);
  expect(rows.filter(({ column, type }) => /token|nonce/.test(column) || type === "uuid")).toEqual([]);
});

test("on a standby leases are shown, as far as it can know of them", async () => {
  await using primary = await startCluster();
  await using own: TestDatabase = await createDatabase({ on: primary });
  await using holder = openLocker(own, { owner: "far away", keepAlive: false, ttlMs: 600_000 });
  await using waiter = openLocker(own);
  await using held = await holder.acquire("held");
  await holder.acquire("over");
  await own.sql`update leasehold.leases set expires_at = clock_timestamp() where key = 'over'`;
  const end = new AbortController();
  const wait = waiter.acquire("held", { signal: end.signal }).catch(() => undefined);
  await using standby = await primary.createStandby();
  await standby.caughtUp();
  const client = await openClient(standby.url.replace(/\/postgres$/, `/${own.name}`));

  expect(await client`select key, owner, fence, is_session_alive, pid, waiters from leasehold.active_leases`).toEqual([
    { key: "held", owner: "far away", fence: String(held.fence), is_session_alive: null, pid: null, waiters: null },
  ]);
  expect(await client`select key, reason, waiters from leasehold.expired_leases`).toEqual([
    { key: "over", reason: "expired", waiters: null },
  ]);
  for (const view of ["waiting", "live_sessions", "deadlocks"]) {
    expect(await client.unsafe(`select * from leasehold.${view}`), view).toHaveLength(0);
  }
  await client.end();
  end.abort();
  await wait;
  await own.sql`delete from leasehold.leases where key = 'over'`;
});
