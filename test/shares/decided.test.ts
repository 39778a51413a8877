// Races among grants, guards and releases of shares, each step in a transaction that the test holds open.
import { describe, expect, test } from "vitest";
import { openSession } from "../fencing/session.js";
import { acquireRows } from "../support/acts.js";
import { createDatabase } from "../support/database.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";
import { expireShare, shareRows } from "./share-row.js";

const database = await createDatabase();
const { sql } = database;
const quiet = { presence: "off", keepAlive: false } as const;

describe("the guarded transaction of a share that has ended", () => {
  test.each(["expired", "released"] as const)("still counts in a semaphore and keeps a writer out: %s", async (way) => {
    const key = `guard ${way}`;
    await using locker = openLocker(database, quiet);
    await using session = await openSession(database);
    const lock = await locker.acquire(key, { capacity: 1 });
    await session.begin();
    await session.guard(key, lock.fence);
    if (way === "expired") await expireShare(sql, key, lock.fence);
    else await lock.release();

    const during = [
      await locker.tryAcquire(key, { capacity: 1 }),
      await locker.tryAcquire(key),
      (await locker.tryAcquire(key, { capacity: 2 }))?.fence ?? null,
    ];
    const waiting = locker.acquire(key);
    await until("the writer waits", async () => (await sql`select from leasehold.waiters`).length === 1);
    await session.commit();
    const writer = await waiting;

    expect(during).toEqual([null, null, null]);
    expect(writer.fence).toBeGreaterThan(lock.fence);
    expect(await shareRows(sql, key)).toEqual([]);
    await writer.release();
    await lock.release().catch(() => undefined);
  });

  test.each([
    ["alone", {}],
    ["as a share that does not fit beside it", { capacity: 1 }],
  ])("does not refuse who asks %s: it is asked again, and named", async (name, terms) => {
    const key = `kept ${name}`;
    await using locker = openLocker(database, quiet);
    await using session = await openSession(database);
    const lapsed = await locker.acquire(key, { capacity: 2 });
    const lock = await locker.acquire(key, { capacity: 2 });
    await session.begin();
    await session.guard(key, lock.fence);
    for (const { fence } of [lapsed, lock]) await expireShare(sql, key, fence);

    const share = "capacity" in terms ? { ...terms, weight: 1 } : {};
    const tried = await sql.unsafe(`select outcome, holder from ${acquireRows([{ key, ...share }])}`);
    const waited = await locker.acquire(key, { ...terms, waitMs: 300 }).catch((error: unknown) => error);
    const waiting = locker.acquire(key, { ...terms, waitMs: 30_000 });
    await until("it waits", async () => (await sql`select from leasehold.waiters where key = ${key}`).length === 1);
    await session.commit();
    const next = await waiting;

    expect(tried).toMatchObject([{ outcome: "busy", holder: null }]);
    expect(waited).toMatchObject({ name: "WaitTimeoutError", holder: null, blockingPid: session.pid });
    expect(next.fence).toBeGreaterThan(lock.fence);
    await next.release();
    for (const lost of [lapsed, lock]) await lost.release().catch(() => undefined);
  });

  test("holds up no grant of another share, no renewal and no release of its own", async () => {
    await using locker = openLocker(database, quiet);
    await using session = await openSession(database);
    const lock = await locker.acquire("beside", { shared: true });
    await session.begin();
    await session.guard("beside", lock.fence);

    const other = await locker.tryAcquire("beside", { shared: true });
    await lock.renew();
    await lock.release();
    const rows = await shareRows(sql, "beside");
    await session.commit();
    await other?.release();
    await using writer = await locker.acquire("beside");

    expect(other).not.toBeNull();
    expect(rows.map(({ isReleased }) => isReleased)).toEqual([true, false]);
    expect(writer.held).toBe(true);
  });

  test("is refused as one that can be repeated when its snapshot is older than the share", async () => {
    await using locker = openLocker(database, quiet);
    await using session = await openSession(database);
    await using first = await locker.acquire("snapshot", { shared: true });
    await session.begin("repeatable read");
    await session.run("select 1");
    await using later = await locker.acquire("snapshot", { shared: true });
    const unseen = await session.guard("snapshot", later.fence).catch((error: unknown) => error);
    await session.rollback();
    await session.begin("repeatable read");
    await session.run("select 1");
    await first.renew();
    const renewed = await session.guard("snapshot", first.fence).catch((error: unknown) => error);
    await session.rollback();

    expect([unseen, renewed]).toMatchObject([{ code: "40001" }, { code: "40001" }]);
  });

  test("is no guard of the key: who shares it may not write what is guarded by the key alone", async () => {
    await using locker = openLocker(database, quiet);
    await using session = await openSession(database);
    await using lock = await locker.acquire("alone", { shared: true });
    await session.begin();
    await session.guard("alone", lock.fence);
    const byShare = await session.isGuarded("alone");
    // any session may write the setting: what counts is the last grant
    await session.run(
      `select set_config(leasehold_internal._guards_setting('alone'),
        json_build_object('xid', pg_current_xact_id()::text, 'keys', json_build_object('alone', ${lock.fence}))::text, true)`,
    );
    const forged = await session.isGuarded("alone");
    await session.rollback();

    expect([byShare, forged]).toEqual([false, false]);
  });
});

test("a share that is released before its minimum hold keeps its room until then", async () => {
  await using locker = openLocker(database, quiet);
  const lock = await locker.acquire("cooling", { capacity: 2, minHoldMs: 60_000 });
  await lock.release();

  const writer = await locker.tryAcquire("cooling");
  const second = await locker.tryAcquire("cooling", { capacity: 2 });
  const third = await locker.tryAcquire("cooling", { capacity: 2 });
  await second?.release();
  await sql`update leasehold.shares set hold_until = clock_timestamp() where key = 'cooling'`;
  const after = await locker.tryAcquire("cooling");

  expect(writer).toBeNull();
  expect(second).not.toBeNull();
  expect(third).toBeNull();
  expect(after).not.toBeNull();
  await after?.release();
});

test("two last readers that release together each see the other, and the statement that notifies finds the writer", async () => {
  await using locker = openLocker(database, { ...quiet, presence: "on" });
  await using one = await openSession(database);
  await using two = await openSession(database);
  const readers = [await locker.acquire("last", { shared: true }), await locker.acquire("last", { shared: true })];
  const waiting = locker.acquire("last");
  await until("the writer waits", async () => (await sql`select from leasehold.waiters`).length === 1);
  const rows = await shareRows(sql, "last");
  const release = (row: (typeof rows)[number] | undefined) =>
    `select others from leasehold_internal.release_shares(true, array['last'], array['${row?.token}'::uuid], array[${row?.fence}::bigint])`;
  const [waiter] = await sql`select session_id from leasehold.waiters where key = 'last'`;
  const told = async () =>
    (await sql`select leasehold_internal.notify_next(${waiter?.session_id}::int, array['last']) as keys`)[0]?.keys;

  await one.begin();
  await two.begin();
  const [first] = await one.run(release(rows[0]));
  const [second] = await two.run(release(rows[1]));
  const before = await told();
  await one.commit();
  const between = await told();
  await two.commit();
  const after = await told();
  await using writer = await waiting;

  // 0: somebody waits, and it has to be found out
  expect([first?.others, second?.others].map((others) => JSON.parse(others)[0][3])).toEqual([0, 0]);
  expect([before, between, after]).toEqual([null, null, '["last"]']);
  expect(writer.held).toBe(true);
  for (const reader of readers) await reader.release().catch(() => undefined);
});

test("the sweeper leaves the root of a key whose shares were renewed for longer than the retention", async () => {
  await using locker = openLocker(database, quiet);
  const lock = await locker.acquire("root", { shared: true });
  await sql`update leasehold.leases set released_at = clock_timestamp() - interval '1 hour' where key = 'root'`;

  await sql`select leasehold.sweep()`;
  const writer = await locker.tryAcquire("root");
  const root = await leaseRow(sql, "root");
  await lock.release();

  expect(writer).toBeNull();
  expect(root.fence).toBe(lock.fence);
});

test("the sweeper purges shares that ended long ago, and no other", async () => {
  await using locker = openLocker(database, quiet);
  const kept = await locker.acquire("sweep", { shared: true });
  const lapsed = await locker.acquire("sweep", { shared: true });
  const cooling = await locker.acquire("sweep", { shared: true, minHoldMs: 3_600_000 });
  await cooling.release();
  await using session = await openSession(database);
  const guarded = await locker.acquire("sweep", { shared: true });
  await session.begin();
  await session.guard("sweep", guarded.fence);
  const old = "clock_timestamp() - interval '1 hour'";
  await sql.unsafe(
    `update leasehold.shares set expires_at = ${old} where fence in (${lapsed.fence}, ${guarded.fence})`,
  );
  await sql.unsafe(`update leasehold.shares set released_at = ${old} where fence = ${cooling.fence}`);

  await sql`select leasehold.sweep()`;
  const rows = await shareRows(sql, "sweep");
  await session.commit();
  await sql`update leasehold.shares set hold_until = null where key = 'sweep'`;
  await sql`update leasehold.sweeper set swept_at = '-infinity'`;
  await sql`select leasehold.sweep()`;
  const after = await shareRows(sql, "sweep");
  await kept.release();

  expect(rows.map(({ fence }) => fence)).toEqual([kept.fence, cooling.fence, guarded.fence]);
  expect(after.map(({ fence }) => fence)).toEqual([kept.fence]);
  for (const lock of [lapsed, guarded]) await lock.release().catch(() => undefined);
});

test("the same token asked again is the same grant; one that was released is late; one that has expired is granted anew", async () => {
  const ask = async (token: string) => {
    const [row] = await sql`select outcome, fence::text from leasehold_internal.acquire_one(
      null, null, null, false, 'again', ${token}::uuid, 'me', 60000, 3600000, null, null, 'infinity', false, null, null, null, true, 1, 5)`;
    return row;
  };
  const [one, two] = [crypto.randomUUID(), crypto.randomUUID()];

  const first = await ask(one);
  const again = await ask(one);
  const other = await ask(two);
  await sql.unsafe(`select leasehold_internal.release_shares(
    false, array['again'], array['${one}'::uuid], array[${first?.fence}::bigint])`);
  const released = await ask(one);
  await expireShare(sql, "again", BigInt(other?.fence));
  const expired = await ask(two);
  await sql`delete from leasehold.shares where key = 'again'`;

  expect([first, again, other, released, expired].map((row) => row?.outcome)).toEqual([
    "granted",
    "granted",
    "granted",
    "late",
    "granted",
  ]);
  expect(again?.fence).toBe(first?.fence);
  expect(BigInt(expired?.fence)).toBeGreaterThan(BigInt(other?.fence));
});

test("a token whose share has expired while an open transaction guards it is busy, and granted anew once that has ended", async () => {
  await using session = await openSession(database);
  const token = crypto.randomUUID();
  const ask = async () =>
    (
      await sql.unsafe(`select outcome, fence::text from leasehold_internal.acquire_one(
        null, null, null, false, 'guarded', '${token}'::uuid, 'me', 60000, 0, null, null, 'infinity', false, null, null, null, true, 1, 5)`)
    )[0];
  const first = await ask();
  await session.begin();
  await session.guard("guarded", BigInt(first?.fence));
  await expireShare(sql, "guarded", BigInt(first?.fence));
  const during = await ask();
  await session.commit();
  const after = await ask();
  await sql`delete from leasehold.shares where key = 'guarded'`;

  expect([first?.outcome, during?.outcome, after?.outcome]).toEqual(["granted", "busy", "granted"]);
  expect(BigInt(after?.fence)).toBeGreaterThan(BigInt(first?.fence));
});

test("who is granted a share removes those of its key that have ended, and none of another key", async () => {
  await using locker = openLocker(database, quiet);
  const lapsed = await Promise.all(["mine", "yours"].map((key) => locker.acquire(key, { shared: true })));
  for (const { key, fence } of lapsed) await expireShare(sql, key, fence);
  await using _ = await locker.acquire("mine", { shared: true });
  const left =
    await sql`select key, fence::text from leasehold.shares where key in ('mine', 'yours') and expires_at < clock_timestamp()`;
  for (const lock of lapsed) await lock.release().catch(() => undefined);
  await sql`delete from leasehold.shares where key = 'yours'`;

  expect(left).toEqual([{ key: "yours", fence: String(lapsed[1]?.fence) }]);
});

test("the last word of a claim frees no share while an attempt that may grant it again holds the root", async () => {
  await using session = await openSession(database);
  const token = crypto.randomUUID();
  const attempt = `select outcome from leasehold_internal.acquire_one(
    null, null, null, false, 'doubt', '${token}'::uuid, 'me', 60000, 0, null, null, 'infinity', false, null, null, null, true, 1, 5)`;
  const lastWord = async () =>
    (
      await sql.unsafe(`select outcome from leasehold_internal.abandon(
        false, array['doubt'], array['${token}'::uuid], array[false], array[true])`)
    )[0]?.outcome;
  await sql.unsafe(attempt);

  // an attempt that has passed its check of the time, and has not looked for its own row yet
  await session.begin();
  await session.run("select from leasehold.leases where key = 'doubt' for update");
  const during = await lastWord();
  const [again] = await session.run(attempt);
  await session.commit();
  const after = await lastWord();

  expect([during, again?.outcome, after]).toEqual(["busy", "granted", "released"]);
  expect(await shareRows(sql, "doubt")).toEqual([]);
});

test("a share whose renewal is about to commit is busy for who frees it by its token, and nobody waits", async () => {
  await using locker = openLocker(database, quiet);
  await using renewing = await openSession(database);
  await using freeing = await openSession(database);
  const lock = await locker.acquire("renewed", { shared: true });
  const free = `select outcome from leasehold_internal.abandon(
    false, array['renewed'], array(select token from leasehold.shares where key = 'renewed'), array[true], array[false])`;

  await renewing.begin();
  await renewing.run("update leasehold.shares set renewed_at = clock_timestamp() where key = 'renewed'");
  await freeing.run("set lock_timeout = '1s'");
  const during = await freeing.run(free).catch((error: { code?: string }) => [{ outcome: error.code }]);
  await renewing.commit();
  const after = await freeing.run(free);
  await lock.release().catch(() => undefined);

  expect([...during, ...after].map(({ outcome }) => outcome)).toEqual(["busy", "released"]);
});

test("a token whose share was revoked is late while it lasts, and granted anew when it has expired", async () => {
  const token = crypto.randomUUID();
  const ask = async () =>
    (
      await sql.unsafe(`select outcome from leasehold_internal.acquire_one(
        null, null, null, false, 'revoked', '${token}'::uuid, 'me', 60000, 0, null, null, 'infinity', false, null, null, null, true, 1, 5)`)
    )[0]?.outcome;

  const outcomes = [await ask()];
  await sql`update leasehold.shares set revoked_at = clock_timestamp() where key = 'revoked'`;
  outcomes.push(await ask());
  // what forceRelease with immediate does
  await sql`update leasehold.shares set released_at = clock_timestamp() where key = 'revoked'`;
  outcomes.push(await ask());
  await sql`update leasehold.shares set expires_at = clock_timestamp() where key = 'revoked'`;
  outcomes.push(await ask());
  await sql`delete from leasehold.shares where key = 'revoked'`;

  expect(outcomes).toEqual(["granted", "late", "late", "granted"]);
});

test("who wants more than is free removes all that has ended, however much that is", async () => {
  await using locker = openLocker(database, quiet);
  await using kept = await locker.acquire("crowd", { shared: true });
  await sql`insert into leasehold.shares (key, token, fence, weight, owner, ttl_ms, min_hold_ms, acquired_at, renewed_at, expires_at)
    select 'crowd', gen_random_uuid(), i, 1, 'gone', 1000, 0, now(), now(), now() - interval '1 ms' from generate_series(1, 300) i`;

  const part = await locker.tryAcquire("crowd", { capacity: 2 });
  await part?.release();

  expect(part).not.toBeNull();
  expect((await shareRows(sql, "crowd")).map(({ fence }) => fence)).toEqual([kept.fence]);
});

test("a waiter that asks again for more than its entry says is not granted what the entry would be", async () => {
  await using locker = openLocker(database, quiet);
  await using held = await locker.acquire("more", { capacity: 10, weight: 5 });
  const token = crypto.randomUUID();
  const ask = async (weight: number) =>
    (
      await sql.unsafe(`select outcome from leasehold_internal.acquire_one(
        null, null, null, false, 'more', '${token}'::uuid, 'me', 60000, 0, null, null, 'infinity', true, null, null, null, true, ${weight}, 10)`)
    )[0]?.outcome;
  const outcomes = [await ask(9)];
  await sql`update leasehold.waiters set weight = 1 where key = 'more'`;

  outcomes.push(await ask(9), await ask(9));
  const rows = await shareRows(sql, "more");
  await sql`delete from leasehold.waiters where key = 'more'`;

  expect(outcomes).toEqual(["queued", "busy", "queued"]);
  expect(rows.map(({ fence }) => fence)).toEqual([held.fence]);
});

test("a waiter that asks again for less than its entry says looks at once, with an entry that says it, also behind others", async () => {
  await using locker = openLocker(database, quiet);
  await using held = await locker.acquire("less", { capacity: 10, weight: 5 });
  const [ahead, token] = [crypto.randomUUID(), crypto.randomUUID()];
  const ask = async (asking: string, weight: number) =>
    (
      await sql.unsafe(`select outcome, nextlook from leasehold_internal.acquire_one(
        null, null, null, false, 'less', '${asking}'::uuid, 'me', 60000, 0, null, null, 'infinity', true, null, null, null, true, ${weight}, 10)`)
    )[0];
  await ask(ahead, 9);
  await ask(token, 9);

  const behind = await ask(token, 2);
  const entries = await sql`select weight from leasehold.waiters where key = 'less' order by ticket`;
  await sql`delete from leasehold.waiters where key = 'less' and token = ${ahead}`;
  const first = await ask(token, 2);
  const rows = await shareRows(sql, "less");
  await sql`delete from leasehold.shares where key = 'less' and token = ${token}`;

  expect(behind).toEqual({ outcome: "queued", nextlook: 0 });
  expect(entries.map(({ weight }) => weight)).toEqual([9, 2]);
  expect(first?.outcome).toBe("granted");
  expect(rows).toHaveLength(2);
  expect(held.held).toBe(true);
});

test("who wants the key alone looks again at once while more have ended than are removed at a time, and takes over from the newest", async () => {
  const [token, key] = [crypto.randomUUID(), "ended"];
  const ask = async (ticket: string, share = "") =>
    (
      await sql.unsafe(`select outcome, nextlook, holder, ticket::text || ', ' || proof as ticket from leasehold_internal.acquire_one(
        null, null, null, false, '${key}', '${share === "" ? token : crypto.randomUUID()}'::uuid, 'me', 60000, 0, null, null, 'infinity', ${share === ""}, ${ticket}, null${share})`)
    )[0];
  const joins = "null, null";
  await ask(joins, ", true, 1, null");
  await sql`delete from leasehold.shares where key = ${key}`;
  await sql`insert into leasehold.shares (key, token, fence, weight, owner, ttl_ms, min_hold_ms, acquired_at, renewed_at, expires_at)
    select ${key}, gen_random_uuid(), i, 1, 'gone ' || i, 1000, 0, now(), now(), now() - interval '1 ms' from generate_series(1, 2500) i`;

  const joined = await ask(joins);
  const looks = [joined, await ask(joined?.ticket), await ask(joined?.ticket)];

  await sql`delete from leasehold.leases where key = ${key}`;

  expect(looks.map((look) => [look?.outcome, look?.nextlook])).toEqual([
    ["queued", 0],
    ["queued", 0],
    ["granted", null],
  ]);
  expect(looks[2]?.holder).toMatch(/^gone /);
});

test("a token that is asked for twice in one statement is granted once", async () => {
  const token = crypto.randomUUID();
  const ask = async () => {
    const [row] = await sql.unsafe(`select fences, others from leasehold_internal.acquire_shares(
      null, null, null, 'me', 60000, 0, null, null, true, '{infinity}', array['twice', 'twice'],
      array['${token}', '${token}']::uuid[], null, 1, 5, null, null)`);
    return { fences: String(row?.fences).split(","), others: JSON.parse(row?.others ?? "[]") as unknown[][] };
  };

  const first = await ask();
  const rows = await shareRows(sql, "twice");
  const again = await ask();
  await sql`delete from leasehold.shares where key = 'twice'`;

  expect(rows).toHaveLength(1);
  const [fence] = rows.map((row) => String(row.fence));
  expect(first.fences.filter((one) => one !== "")).toEqual([fence]);
  expect(first.others.map(([, outcome]) => outcome)).toEqual(["busy"]);
  expect(again).toEqual({ fences: [fence, fence], others: [] });
});

test("a token that is asked for twice where it fits once leaves no entry in the queue, and the others of the queue are told of", async () => {
  const [twin, behind] = [crypto.randomUUID(), crypto.randomUUID()];
  const ask = async (key: string, tokens: readonly string[], waits: boolean, capacity: number, session = "null") => {
    const [row] = await sql.unsafe(`select fences, others from leasehold_internal.acquire_shares(
      ${session}, ${session === "null" ? "null, null" : `(select nonce from leasehold.sessions where id = ${session}), 5000`}, 'me', 60000, 0, null, null, ${waits}, '{infinity}',
      array_fill('${key}'::text, array[${tokens.length}]), array['${tokens.join("','")}']::uuid[], null, 1, ${capacity}, null, null)`);
    return JSON.parse(row?.others ?? "[]") as unknown[][];
  };

  const once = await ask("once", [twin, twin], true, 1);
  const entries = await sql`select from leasehold.waiters where key = 'once'`;
  const writer = await sql.unsafe(`select fence::text from leasehold_internal.acquire_one(
    null, null, null, false, 'told', gen_random_uuid(), 'me', 60000, 0, null, null, 'infinity', false, null, null, null)`);
  await ask("told", [behind], true, 5);
  await sql`update leasehold.waiters set session_id = 99 where key = 'told'`;
  await sql`update leasehold.leases set token = null, session_id = null, released_at = now() where key = 'told'`;
  const told = await ask("told", [twin, twin], true, 5);
  await sql`delete from leasehold.shares where key in ('once', 'told')`;
  await sql`delete from leasehold.waiters where key in ('once', 'told')`;

  expect(writer).toHaveLength(1);
  expect(once.map(([item, outcome]) => [item, outcome])).toEqual([[2, "busy"]]);
  expect(entries).toHaveLength(0);
  const nextLook = (row: unknown[] | undefined) => row?.[9];
  expect(told.map((row) => [row[0], row[1], nextLook(row)])).toEqual([
    [2, "busy", null],
    [1, "granted", 0],
  ]);
});

test("who waited for a share and then wants the key alone stops those who come later", async () => {
  const [holding, token, later] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
  const ask = async (asking: string, waits: boolean, capacity: number | null, entry = "null, null") =>
    (
      await sql.unsafe(`select outcome, ticket::text || ', ' || proof as entry from leasehold_internal.acquire_one(
        null, null, null, false, 'turned', '${asking}'::uuid, 'me', 60000, 0, null, null, 'infinity', ${waits}, ${entry}, null, true,
        ${capacity === null ? null : 1}, ${capacity})`)
    )[0];
  const turned: unknown[] = [];
  for (const keepsTicket of [false, true]) {
    await ask(holding, false, 1);
    const queued = await ask(token, true, 1);
    await ask(token, true, null, keepsTicket ? queued?.entry : undefined);
    const [entry] = await sql`select weight, capacity from leasehold.waiters where key = 'turned'`;
    const passes = await ask(later, false, 5);
    turned.push([entry, passes?.outcome]);
    await sql`delete from leasehold.shares where key = 'turned'`;
    await sql`delete from leasehold.waiters where key = 'turned'`;
  }

  expect(turned).toEqual(Array(2).fill([{ weight: null, capacity: null }, "held"]));
});

test("an entry in the queue that has expired goes with the grant of its claim, so that it cannot come back", async () => {
  const token = crypto.randomUUID();
  const ask = async (asking: string) =>
    (
      await sql.unsafe(`select outcome from leasehold_internal.acquire_one(
        null, null, null, false, 'back', '${asking}'::uuid, 'me', 60000, 0, null, null, 'infinity', true, null, null, null, true, 1, 1)`)
    )[0]?.outcome;
  const outcomes = [await ask(crypto.randomUUID()), await ask(token)];
  await sql`delete from leasehold.shares where key = 'back'`;
  await sql`update leasehold.waiters set alive_until = clock_timestamp() where key = 'back'`;

  outcomes.push(await ask(token));
  const left = await sql`select from leasehold.waiters where key = 'back'`;
  await sql`delete from leasehold.shares where key = 'back'`;

  expect(outcomes).toEqual(["granted", "queued", "granted"]);
  expect(left).toHaveLength(0);
});

test("of several granted in one statement the first is told whom it took over from, and each has its own fence", async () => {
  const tokens = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
  await sql.unsafe(`select outcome from ${acquireRows([{ key: "found", weight: 1 }])}`);
  await sql`update leasehold.shares set acquired_at = now() - interval '2 s', renewed_at = now() - interval '2 s',
    expires_at = now() - interval '1 s' where key = 'found'`;
  const [row] = await sql.unsafe(`select fences, others from leasehold_internal.acquire_shares(
    null, null, null, 'me', 60000, 0, null, null, false, '{infinity}', array_fill('found'::text, array[3]),
    array['${tokens.join("','")}']::uuid[], null, 1, null, null, null)`);
  const given = await sql`select token, fence::text from leasehold.shares where key = 'found' order by fence`;
  await sql`delete from leasehold.shares where key = 'found'`;

  expect(given.map(({ token }) => token)).toEqual(tokens);
  const [first, ...rest] = given.map(({ fence }) => fence as string);
  expect(String(row?.fences).split(",")).toEqual(["", ...rest]);
  const others = JSON.parse(row?.others ?? "[]") as unknown[][];
  expect(others.map(([item, outcome, fence]) => [item, outcome, String(fence)])).toEqual([[1, "granted", first]]);
});

test("the end that is told for all that were plainly granted is theirs, not that of one that took over before them", async () => {
  const tokens = [crypto.randomUUID(), crypto.randomUUID()];
  await sql.unsafe(`select outcome from ${acquireRows([{ key: "before", weight: 1 }])}`);
  await sql`update leasehold.shares set acquired_at = now() - interval '2 s', renewed_at = now() - interval '2 s',
    expires_at = now() - interval '1 s' where key = 'before'`;
  const [row] = await sql.unsafe(`select acquired, expires, others from leasehold_internal.acquire_shares(
    null, null, null, 'me', 60000, 0, null, null, false, '{infinity}', '{before,later}',
    array['${tokens.join("','")}']::uuid[], null, 1, null, null, null)`);
  const [plain] =
    await sql`select leasehold_internal._ms(acquired_at) as acquired, leasehold_internal._ms(expires_at) as expires
    from leasehold.shares where key = 'later'`;
  await sql`delete from leasehold.shares where key in ('before', 'later')`;

  const others = JSON.parse(row?.others ?? "[]") as unknown[][];
  expect(others.map(([item, outcome]) => [item, outcome])).toEqual([[1, "granted"]]);
  expect([row?.acquired, row?.expires]).toEqual([plain?.acquired, plain?.expires]);
});

test("readers of one key that look together keep their places, each by its own proof", async () => {
  await sql.unsafe(`select outcome from ${acquireRows([{ key: "looks" }])}`);
  const reader = () => ({ key: "looks", weight: 1, waits: true, token: crypto.randomUUID() });
  const readers = [reader(), reader()];
  const joined = await sql.unsafe(`select item, ticket, proof from ${acquireRows(readers)} order by item`);
  const proven = joined.map(({ ticket, proof }, index) => ({ ...readers[index], key: "looks", ticket, proof }));
  const look = () => sql.unsafe(`select item, outcome, ticket from ${acquireRows(proven)} order by item`);
  const looked = await look();
  // whose entry is gone has it back in its place, which the proof shows
  await sql`delete from leasehold.waiters where key = 'looks'`;
  const back = await look();
  await sql`delete from leasehold.waiters where key = 'looks'`;
  await sql`delete from leasehold.leases where key = 'looks'`;

  expect(joined).toHaveLength(2);
  const same = joined.map(({ item, ticket }) => ({ item, outcome: "queued", ticket }));
  expect(looked).toEqual(same);
  expect(back).toEqual(same);
});
