// A lock that one locker gives away and another one goes on with.
import { afterEach, expect, test } from "vitest";
import { InvalidOptionError, LeaseLostError, type Lock, NotHeldError } from "../../src/index.js";
import { openGuard } from "../fencing/session.js";
import { releaseRows, renewRows } from "../support/acts.js";
import { createDatabase } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { leaseRow, tokenOf } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;
await sql`create table public.writes (value text)`;

afterEach(async () => {
  await sql`truncate leasehold.leases, leasehold.waiters, public.writes`;
});

const sessionOf = async (owner: string): Promise<number> =>
  (await sql`select id from leasehold.sessions where owner = ${owner}`)[0]?.id;

const presences = ["on", "off"] as const;

test("a handle that was detached has ended, and nothing of it fires", async () => {
  const lost: Lock[] = [];
  await using locker = openLocker(database, { onLost: (lock) => lost.push(lock) });
  const lock = await locker.acquire("a", { ttlMs: 1_000 });
  const { signal } = lock;

  await lock.detach();

  const detached = { name: "NotHeldError", code: "not-held", message: expect.stringContaining("it was detached") };
  expect(lock.held).toBe(false);
  expect(lock.remainingMs).toBe(0);
  expect(() => lock.assertHeld()).toThrow(expect.objectContaining(detached));
  for (const call of [() => lock.release(), () => lock.renew(), () => lock.detach()]) {
    await expect(call()).rejects.toMatchObject(detached);
  }
  expect(() => lock.keepAlive()).toThrow(expect.objectContaining(detached));
  expect(locker.get("a")).toBeUndefined();
  expect(locker.locks()).toEqual([]);
  await lock[Symbol.asyncDispose]();
  await until("the lease has expired", async () => !(await locker.isLocked("a")));
  expect(signal.aborted).toBe(false);
  expect(lost).toEqual([]);
});

test("the lease is then nobody's, and lasts for a full TTL", async () => {
  await using locker = openLocker(database, { owner: "first" });
  const lock = await locker.acquire("a", { ttlMs: 60_000, keepAlive: false });
  const before = await leaseRow(sql, "a");
  const token = await tokenOf(sql, "a");

  const detached = await lock.detach();

  expect(detached).toEqual({ key: "a", token, fence: String(lock.fence), instance: null });
  expect(JSON.parse(JSON.stringify(detached))).toEqual(detached);
  const after = await leaseRow(sql, "a");
  expect(after).toMatchObject({ token, fence: lock.fence, owner: "first", sessionId: null, takeoverMs: null });
  expect(after.acquiredAt).toBe(before.acquiredAt);
  expect(after.expiresAt).toBeGreaterThan(before.expiresAt);
  expect(after.expiresAt - after.now).toBeLessThanOrEqual(60_000);
  expect(await locker.check("a")).toMatchObject({
    state: "held",
    owner: "first",
    isSessionAlive: null,
    isThisProcess: false,
    fence: lock.fence,
  });
  expect(await locker.tryAcquire("a")).toBeNull();
  const [row] = await sql`select state, session_id, is_session_alive from leasehold.active_leases where key = 'a'`;
  expect(row).toEqual({ state: "held", session_id: null, is_session_alive: null });
});

test("a lock that was renewed for another TTL is detached for that one", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("a", { ttlMs: 1_000, keepAlive: false });
  await lock.renew(60_000);
  await sql`update leasehold.leases set expires_at = clock_timestamp() + interval '500 milliseconds'`;
  await lock.detach();
  const { expiresAt, now } = await leaseRow(sql, "a");
  expect(expiresAt - now).toBeGreaterThan(10_000);
});

test.each(presences)(
  "who adopts it has all that the lock had, and holds it like its own (presence: %s)",
  async (presence) => {
    await using first = openLocker(database, { presence, owner: "first", prefix: "app:" });
    await using second = openLocker(database, { presence, owner: "second" });
    await using other = openLocker(database);
    const lock = await first.acquire("a", { ttlMs: 1_000, metadata: { job: 7 } });
    const detached = await lock.detach();

    const adopted = await second.adopt(detached);

    expect(adopted).toMatchObject({
      key: "app:a",
      fence: lock.fence,
      metadata: { job: 7 },
      acquiredAt: lock.acquiredAt,
    });
    expect(adopted).toMatchObject({ owner: "second", ttlMs: 30_000, held: true });
    expect(adopted.heldMs).toBeGreaterThan(0);
    expect(second.locks()).toEqual([adopted]);
    expect(second.get("app:a")).toBe(adopted);
    const row = await leaseRow(sql, "app:a");
    expect(row).toMatchObject({ ...grantOf(lock), owner: "second" });
    expect(Math.floor(row.acquiredAt)).toBe(lock.acquiredAt.getTime());
    expect(row.sessionId).toBe(presence === "on" ? await sessionOf("second") : null);
    expect(adopted.expiresAt.getTime()).toBe(Math.floor(row.expiresAt));
    expect(await second.check("app:a")).toMatchObject({ owner: "second", isThisProcess: true });
    adopted.assertHeld();
    await adopted.renew(60_000);
    expect(await other.tryAcquire("app:a")).toBeNull();
    await adopted.release();
    expect((await leaseRow(sql, "app:a")).token).toBeNull();
  },
);

test("it is renewed by who adopted it, as that one says", async () => {
  await using first = openLocker(database);
  await using second = openLocker(database, { ttlMs: 1_500 });
  const [kept, unkept] = [await first.acquire("kept"), await first.acquire("unkept")];
  const lost: string[] = [];
  const onLost = (lock: Lock) => lost.push(lock.key);
  const adopted = await second.adopt(await kept.detach(), { onLost });
  await second.adopt(await unkept.detach(), { ttlMs: 1_000, keepAlive: false, onLost });
  const before = await leaseRow(sql, "kept");
  // the detached lease had 30 s, and who adopts it decides anew
  expect(before.expiresAt - before.now).toBeLessThanOrEqual(1_500);

  await until("it was kept past its first TTL", async () => (await leaseRow(sql, "kept")).now > before.expiresAt);
  expect(adopted.held).toBe(true);
  await until("the other one is lost", () => lost.length > 0);
  expect(lost).toEqual(["unkept"]);
  await adopted.release();
});

test("nothing that is said under the old token reaches it", async () => {
  await using first = openLocker(database);
  await using second = openLocker(database);
  const lock = await first.acquire("a");
  const { key, token } = await lock.detach();
  const adopted = await second.adopt({ key, token, fence: lock.fence });
  const before = await leaseRow(sql, "a");
  expect(before.token).not.toBe(token);

  const old = { key, token, fence: lock.fence };
  const answers = await Promise.all(
    [renewRows([old]), releaseRows([old])].map((rows) => sql.unsafe(`select outcome from ${rows} a`)),
  );
  expect(answers.flat().map(({ outcome }) => outcome)).toEqual(["lost", "gone"]);
  expect(await sql`select leasehold.release(${key}, ${token}::uuid) as released`).toEqual([{ released: false }]);
  const after = await leaseRow(sql, "a");
  expect(after).toEqual({ ...before, now: after.now });
  await adopted.release();
});

test.each(presences)(
  "it is adopted once: the second is told, also at the same moment (presence: %s)",
  async (presence) => {
    await using first = openLocker(database, { presence });
    await using second = openLocker(database, { presence });
    await using third = openLocker(database, { presence });
    await Promise.all([second.ready(), third.ready()]);
    for (let round = 0; round < 20; round += 1) {
      const lock = await first.acquire(`a-${round}`);
      const detached = await lock.detach();
      const results = await Promise.allSettled([second, third, third].map((locker) => locker.adopt(detached)));
      const winners = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
      const losers = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));

      expect(winners).toHaveLength(1);
      expect(winners[0]?.held).toBe(true);
      for (const error of losers) {
        expect(error).toBeInstanceOf(LeaseLostError);
        expect(error).toMatchObject({ reason: "taken", key: `a-${round}`, fence: lock.fence });
        expect((error as Error).message).toContain("somebody else has adopted it");
      }
      // the losers have not cleaned up what is the winner's
      await winners[0]?.renew();
      await winners[0]?.release();
      await expect(first.adopt(detached)).rejects.toMatchObject({ code: "lease-lost" });
    }
  },
);

test("data that comes twice to one locker is taken the second time, and what it adopted stays", async () => {
  await using first = openLocker(database);
  await using second = openLocker(database);
  const lock = await first.acquire("a");
  const detached = await lock.detach();
  const adopted = await second.adopt(detached);
  const error = await second.adopt(detached).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(LeaseLostError);
  expect(error).toMatchObject({ reason: "taken" });
  await adopted.renew();
  expect(adopted.held).toBe(true);
  await adopted.release();
});

test("a lock that this locker holds, and has not detached, cannot be adopted by it", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("a");
  const token = await tokenOf(sql, "a");
  const error = await locker
    .adopt({ key: "a", token, fence: String(lock.fence), instance: null })
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(InvalidOptionError);
  expect(error).toMatchObject({ option: "detached", expected: "a lock that this locker does not hold already" });
  expect(JSON.stringify(error) + String(error)).not.toContain(token);
  await lock.renew();
  await lock.release();
});

test("it can come back, and go on and on", async () => {
  await using first = openLocker(database);
  await using second = openLocker(database);
  let lock = await first.acquire("a");
  const { fence } = lock;
  for (const locker of [first, second, second, first, second]) {
    lock = await locker.adopt(await lock.detach());
    expect(lock.fence).toBe(fence);
    lock.assertHeld();
  }
  await lock.release();
  expect(await sql`select acquisitions::int from leasehold.leases where key = 'a'`).toEqual([{ acquisitions: 1 }]);
});

const endings: readonly (readonly [reason: string, what: string, end: (key: string) => Promise<unknown>])[] = [
  [
    "expired",
    "it has expired",
    (key) => sql`update leasehold.leases set expires_at = clock_timestamp() where key = ${key}`,
  ],
  [
    "max-hold",
    "it was held for as long as it may be",
    (key) =>
      sql`update leasehold.leases set expires_at = clock_timestamp(), max_hold_until = clock_timestamp() where key = ${key}`,
  ],
  ["forced", "it was taken away", (key) => sql`select leasehold.force_release(${key})`],
  ["forced", "it was taken away at once", (key) => sql`select leasehold.force_release(${key}, immediate => true)`],
  [
    "taken",
    "somebody else has adopted it, and has released it since",
    async (key) => {
      const adopted =
        await sql`select a.* from leasehold.leases l, leasehold.adopt(l.key, l.token) a where l.key = ${key}`;
      expect(await sql`select leasehold.release(${key}, ${adopted[0]?.new_token})`).toEqual([{ release: true }]);
    },
  ],
  [
    "expired",
    "it was released after it had expired",
    async (key) => {
      await sql`update leasehold.leases set expires_at = clock_timestamp() where key = ${key}`;
      await sql`select leasehold.release(key, token) from leasehold.leases where key = ${key}`;
    },
  ],
  ["taken", "its row is gone", (key) => sql`delete from leasehold.leases where key = ${key}`],
  [
    "taken",
    "somebody else has the key",
    async (key) => {
      await sql`update leasehold.leases set expires_at = clock_timestamp() where key = ${key}`;
      await sql`select from leasehold.try_acquire(${key})`;
    },
  ],
];

test.each(endings)("LeaseLostError (%s) when %s", async (reason, _, end) => {
  await using first = openLocker(database);
  await using second = openLocker(database);
  const lock = await first.acquire("a");
  const detached = await lock.detach();
  await end("a");
  const [before] = await sql`select * from leasehold.leases where key = 'a'`;

  const error = await second.adopt(detached).catch((thrown: unknown) => thrown);

  expect(error).toBeInstanceOf(LeaseLostError);
  expect(error).toMatchObject({
    reason,
    key: "a",
    fence: lock.fence,
    message: expect.stringContaining("cannot be adopted"),
  });
  expect((await sql`select * from leasehold.leases where key = 'a'`)[0]).toEqual(before);
  expect(second.locks()).toEqual([]);
});

test("what was released by its token is lost to who would adopt it", async () => {
  await using first = openLocker(database);
  await using second = openLocker(database);
  const detached = await (await first.acquire("a")).detach();
  await sql`select leasehold.release('a', ${detached.token}::uuid)`;
  await expect(second.adopt(detached)).rejects.toMatchObject({ name: "LeaseLostError" });
});

test("a lock that its holder has not let go of cannot be adopted, whoever knows its token", async () => {
  await using holder = openLocker(database, { owner: "the holder" });
  const lock = await holder.acquire("a");
  const stolen = { key: "a", token: await tokenOf(sql, "a"), fence: lock.fence };
  for (const presence of presences) {
    await using thief = openLocker(database, { presence });
    const error = await thief.adopt(stolen).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(NotHeldError);
    expect(error).not.toBeInstanceOf(LeaseLostError);
    expect((error as Error).message).toContain('"the holder" holds it, in a session that may be alive');
  }
  await lock.renew();
  expect((await leaseRow(sql, "a")).sessionId).not.toBeNull();
  await lock.release();
});

test("the longest hold counts from the adoption, and never beyond that of the lock", async () => {
  await using first = openLocker(database);
  await using second = openLocker(database);
  const reasons: string[] = [];
  const onLost = (_: Lock, { reason }: LeaseLostError) => reasons.push(reason);
  const long = await (await first.acquire("long", { maxHoldMs: 3_600_000 })).detach();
  const unbounded = await (await first.acquire("unbounded")).detach();
  // the last one: on a busy machine its time must not be over before it is adopted
  const short = await (await first.acquire("short", { maxHoldMs: 5_000 })).detach();
  const limit = async (key: string): Promise<number> =>
    Number(
      (
        await sql`select extract(epoch from max_hold_until - acquired_at) * 1000 as ms from leasehold.leases where key = ${key}`
      )[0]?.ms,
    );

  const bounded = await second.adopt(short, { maxHoldMs: 60_000, onLost });
  expect(await limit("short")).toBe(5_000);
  expect(bounded.remainingMs).toBeLessThanOrEqual(5_000);
  await second.adopt(long, { maxHoldMs: 1_000, ttlMs: 60_000, onLost });
  expect(await limit("long")).toBeLessThan(60_000);
  await second.adopt(unbounded, { onLost });
  expect((await sql`select max_hold_until from leasehold.leases where key = 'unbounded'`)[0]).toEqual({
    max_hold_until: null,
  });

  await until("both are lost", () => reasons.length === 2);
  expect(reasons).toEqual(["max-hold", "max-hold"]);
  expect(second.locks().map(({ key }) => key)).toEqual(["unbounded"]);
});

test("the shortest hold is that of the grant, whoever releases it", async () => {
  await using first = openLocker(database);
  await using second = openLocker(database);
  const lock = await first.acquire("a", { minHoldMs: 60_000 });
  const adopted = await second.adopt(await lock.detach());
  await adopted.release();
  expect(await second.check("a")).toMatchObject({ state: "cooling" });
});

test("others wait for it as for any lock, and are served when it is released", async () => {
  await using first = openLocker(database);
  await using second = openLocker(database);
  const lock = await first.acquire("a", { ttlMs: 60_000 });
  const waiting = first.acquire("a", { waitMs: 50_000 });
  await until("it waits", async () => (await sql`select from leasehold.waiters`).length > 0);
  const adopted = await second.adopt(await lock.detach());
  await adopted.release();
  const next = await waiting;
  expect(next.fence).toBeGreaterThan(adopted.fence);
  await next.release();
});

test("its guarded writes commit, and those of the handle that was detached are not even sent", async () => {
  await using first = openLocker(database);
  await using second = openLocker(database);
  const lock = await first.acquire("a");
  const adopted = await second.adopt(await lock.detach());
  await adopted.transaction(sql, async (tx) => await tx`insert into public.writes values ('adopted')`);
  let hasRun = false;
  await expect(
    lock.transaction(sql, () => {
      hasRun = true;
    }),
  ).rejects.toMatchObject({ code: "not-held", message: expect.stringContaining("detached") });
  expect(hasRun).toBe(false);
  await adopted.release();
  await expect(
    adopted.transaction(sql, async (tx) => await tx`insert into public.writes values ('late')`),
  ).rejects.toMatchObject({ code: "not-held" });
  expect(await sql`select value from public.writes`).toEqual([{ value: "adopted" }]);
});

test("an open transaction that guards the key is waited for, and named when it takes too long", async () => {
  await using first = openLocker(database);
  await using second = openLocker(database, { requestTimeoutMs: 1_000 });
  const lock = await first.acquire("a", { ttlMs: 60_000 });
  await using guarded = await openGuard(database, lock);
  const detached = await lock.detach();

  const refused = await second.adopt(detached).catch((error: unknown) => error);
  // On a busy machine the last request may have had no answer any more: then its outcome is unknown.
  expect(refused).toMatchObject({ code: "unavailable" });
  expect((refused as Error).message).toContain(
    `the open transaction of server process ${guarded.pid} has its row locked`,
  );
  expect((await leaseRow(sql, "a")).token).toBe(detached.token);

  await using proxy = await startProxy(database.url);
  await using third = openLocker(proxy.url(database.url));
  const adopting = third.adopt(detached);
  // a second attempt: the first was answered
  for (let sent = 0; sent < 2; sent += 1) await proxy.onStatement(/leasehold_internal\.adopt\(/);
  await guarded.run("insert into public.writes values ('before')");
  await guarded.commit();
  const adopted = await adopting;
  expect(await sql`select value from public.writes`).toEqual([{ value: "before" }]);
  await adopted.release();
});

test("the body of withLock may give its lock away: the call resolves, and the lock goes on", async () => {
  await using first = openLocker(database);
  await using second = openLocker(database);
  const detached = await first.withLock("a", (lock) => lock.detach());
  expect(await second.isLocked("a")).toBe(true);
  await (await second.adopt(detached)).release();
});

test("a locker that is closed leaves a lock alone that was detached, and adopts none", async () => {
  const first = openLocker(database);
  const lock = await first.acquire("a", { ttlMs: 60_000 });
  const detached = await lock.detach();
  await first.close();
  await using second = openLocker(database);
  expect(await second.check("a")).toMatchObject({ state: "held" });
  await expect(first.adopt(detached)).rejects.toMatchObject({ code: "closed" });
  const adopted = await second.adopt(detached);
  await second.close();
  // and one that has adopted it releases it
  await expect(adopted.release()).rejects.toMatchObject({ code: "lease-lost", reason: "closed" });
  expect((await leaseRow(sql, "a")).token).toBeNull();
});
