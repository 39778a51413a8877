// What the functions of the public SQL API do, beside lockers that want the same keys.
import type postgres from "postgres";
import { expect, test } from "vitest";
import { openSession, type Session } from "../fencing/session.js";
import { createDatabase } from "../support/database.js";
import { openEars } from "../support/ears.js";
import { grantOf } from "../support/grant-of.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { untilQueued } from "../waiting/queue.js";

const database = await createDatabase();
const { sql } = database;

interface Acquired {
  readonly acquired: boolean;
  readonly token: string | null;
  readonly fence: bigint | null;
  readonly expires_at: Date | null;
  readonly holder: string | null;
  readonly holder_expires_at: Date | null;
}

async function tryAcquire(client: postgres.Sql, key: string, ttl = "30 s"): Promise<Acquired> {
  const [row] = await client`select *, fence::text as fence from leasehold.try_acquire(${key}, ${ttl}::text::interval)`;
  if (row === undefined) throw new Error("no row");
  return { ...row, fence: row.fence === null ? null : BigInt(row.fence) } as Acquired;
}

async function release(client: postgres.Sql, key: string, token: string | null): Promise<boolean> {
  const [row] = await client`select leasehold.release(${key}, ${token}::text::uuid) as released`;
  return row?.released;
}

test("a key that is free is granted, with what a client would have: token, fence, expiry", async () => {
  const grant = await tryAcquire(sql, "a", "10 s");
  expect(grant).toMatchObject({ acquired: true, holder: null, holder_expires_at: null });
  const row = await leaseRow(sql, "a");
  expect(grant).toMatchObject(grantOf(row));
  expect(row.expiresAt - row.acquiredAt).toBe(10_000);
  expect(grant.expires_at?.getTime()).toBe(Math.floor(row.expiresAt));
  expect(row.owner).toMatch(/^.+@.+:\d+$/);

  expect(await release(sql, "a", grant.token)).toBe(true);
  expect(await release(sql, "a", grant.token)).toBe(false);
});

test("a key that a locker holds is not, and the answer says who has it; the other way round as well", async () => {
  await using locker = openLocker(database, { owner: "the locker" });
  const lock = await locker.acquire("b");
  const refused = await tryAcquire(sql, "b");
  expect(refused).toMatchObject({ acquired: false, token: null, fence: null, expires_at: null, holder: "the locker" });
  expect(refused.holder_expires_at).toEqual(lock.expiresAt);
  await lock.release();

  const grant = await tryAcquire(sql, "b");
  expect(grant.acquired).toBe(true);
  expect(grant.fence).toBeGreaterThan(lock.fence);
  expect(await locker.tryAcquire("b")).toBeNull();
  await release(sql, "b", grant.token);
});

test("a locker that waits in the queue is granted after a release in SQL", async () => {
  await using locker = openLocker(database);
  const grant = await tryAcquire(sql, "line", "1 hour");
  const wait = locker.acquire("line");
  await untilQueued(database, "line", 1);
  await release(sql, "line", grant.token);
  const lock = await wait;
  expect(lock.fence).toBeGreaterThan(grant.fence ?? 0n);
  await lock.release();
});

test("who waits in the queue goes first, for as long as he looks", async () => {
  await release(sql, "queue", (await tryAcquire(sql, "queue")).token);
  await sql`update leasehold.leases set queued = true where key = 'queue'`;
  await sql`insert into leasehold.waiters (key, ticket, token, owner, enqueued_at, alive_until)
    values ('queue', 1, gen_random_uuid(), 'waiter', clock_timestamp(), clock_timestamp() + interval '1 hour')`;
  expect(await tryAcquire(sql, "queue")).toMatchObject({ acquired: false, holder: null, holder_expires_at: null });
  await sql`update leasehold.waiters set alive_until = clock_timestamp()`;
  const grant = await tryAcquire(sql, "queue");
  expect(grant.acquired).toBe(true);
  await release(sql, "queue", grant.token);
});

test("a release wakes the first waiter with its commit, and nobody where nobody waits", async () => {
  await using ears = await openEars(database, 4242);
  const grant = await tryAcquire(sql, "wake");
  const putWaiter = () => sql`
    insert into leasehold.waiters (key, ticket, token, session_id, owner, enqueued_at, alive_until)
    values ('wake', 1, gen_random_uuid(), 4242, 'waiter', clock_timestamp(), clock_timestamp() + interval '1 hour')`;
  await putWaiter();
  await release(sql, "not queued for", (await tryAcquire(sql, "not queued for")).token);
  await sql`update leasehold.leases set queued = true where key = 'wake'`;

  await using session = await openSession(database);
  await session.begin();
  expect(await release(session.sql, "wake", grant.token)).toBe(true);
  await session.rollback();
  await release(sql, "wake", grant.token);
  expect(await ears.count()).toBe(1);
  await sql`delete from leasehold.waiters`;
});

test("a release of a row that is locked for a moment is tried again, nine times", async () => {
  await using own = await createDatabase();
  const grant = await tryAcquire(own.sql, "busy");
  // The first so many are told that the row is locked.
  await own.sql.unsafe(`
    create sequence public.releases;
    alter function leasehold_internal.release(boolean, text[], uuid[], bigint[]) rename to real_release;
    create function leasehold_internal.release(boolean, text[], uuid[], bigint[], out others text, out now float8)
    language plpgsql as $$
    begin
      if nextval('public.releases') <= current_setting('test.busy')::int then
        others := '[[1,"busy",null,null]]';
      else
        select r.others, r.now into others, now from leasehold_internal.real_release($1, $2, $3, $4) r;
      end if;
    end $$`);
  await own.sql`select set_config('test.busy', '10', false)`;
  await expect(release(own.sql, "busy", grant.token)).rejects.toMatchObject({ code: "55P03" });
  await own.sql`select set_config('test.busy', '9', false), setval('public.releases', 1, false)`;
  expect(await release(own.sql, "busy", grant.token)).toBe(true);
});

test("renew moves the expiry and never back, and refuses what has ended", async () => {
  const grant = await tryAcquire(sql, "c", "10 s");
  const renew = async (ttl: string | null = null): Promise<number> => {
    const [row] =
      await sql`select extract(epoch from leasehold.renew('c', ${grant.token}::text::uuid, ${ttl}::text::interval))::float8 * 1000 as until`;
    return row?.until;
  };
  const first = await renew("20 s");
  expect(first).toBe((await leaseRow(sql, "c")).expiresAt);
  expect(await renew("1 s")).toBe(first);
  expect(await renew("40 s")).toBeGreaterThan(first + 15_000);
  expect(await renew()).toBeGreaterThan(first + 15_000); // the TTL it was last renewed with
  expect((await leaseRow(sql, "c")).fence).toBe(grant.fence);

  const refusals: [string, string][] = [
    ["expires_at = clock_timestamp()", "It was not renewed in time: it has expired."],
    [
      "expires_at = clock_timestamp() + interval '1 minute', revoked_at = clock_timestamp()",
      "It was taken away by force.",
    ],
    [
      "token = null, revoked_at = null",
      "It was released, or it expired and others have had the key since. Nobody holds it now.",
    ],
  ];
  for (const [change, detail] of refusals) {
    await sql.unsafe(`update leasehold.leases set ${change} where key = 'c'`);
    await expect(renew()).rejects.toMatchObject({
      code: "LH002",
      message: "the lease of 'c' is not held with this token",
      detail,
      hint: expect.stringContaining("try_acquire"),
    });
  }
  const next = await tryAcquire(sql, "c");
  await expect(renew()).rejects.toMatchObject({
    code: "LH002",
    detail: expect.stringMatching(/ holds the key since .*, with fence \d+\.$/),
  });
  expect(await release(sql, "c", grant.token)).toBe(false);
  expect((await leaseRow(sql, "c")).token).toBe(next.token);
  await release(sql, "c", next.token);
});

test("a lease that has expired is released as lost", async () => {
  const grant = await tryAcquire(sql, "d");
  await sql`update leasehold.leases set expires_at = clock_timestamp() where key = 'd'`;
  expect(await release(sql, "d", grant.token)).toBe(false);
  expect((await leaseRow(sql, "d")).token).toBeNull();
});

test("guard takes the fence of try_acquire, and refuses it once the lock has ended", async () => {
  const grant = await tryAcquire(sql, "guarded");
  await using session = await openSession(database);
  await session.begin();
  await session.guard("guarded", grant.fence ?? 0n);
  await session.commit();
  await release(sql, "guarded", grant.token);
  await session.begin();
  await expect(session.guard("guarded", grant.fence ?? 0n)).rejects.toMatchObject({ code: "LH001" });
  await session.rollback();
});

test("check shows each state a key can be in, and no token", async () => {
  const check = async () => (await sql`select * from leasehold.check('e')`)[0];
  expect(await check()).toMatchObject({ state: "free", owner: null, fence: null, waiters: 0, blocking_pid: null });

  const grant = await tryAcquire(sql, "e");
  const held = await check();
  expect(held).toMatchObject({
    state: "held",
    fence: String(grant.fence),
    session_id: null,
    is_session_alive: null,
    renewed_at: null,
  });
  expect(Object.keys(held ?? {})).not.toContain("token");
  expect(held?.expires_at).toEqual(grant.expires_at);
  await sql`select leasehold.renew('e', ${grant.token}::text::uuid)`;
  expect((await check())?.renewed_at).toBeInstanceOf(Date);

  await sql`update leasehold.leases set expires_at = clock_timestamp() where key = 'e'`;
  expect(await check()).toMatchObject({ state: "expired", remaining: "00:00:00" });
  await release(sql, "e", grant.token);
  await sql`update leasehold.leases set hold_until = clock_timestamp() + interval '1 minute' where key = 'e'`;
  // whose it was, and nothing of how it was held
  expect(await check()).toMatchObject({ state: "cooling", fence: String(grant.fence), renewed_at: null, ttl: null });
  await sql`update leasehold.leases set hold_until = null where key = 'e'`;

  const next = await tryAcquire(sql, "e");
  await using guarding = await openSession(database);
  await guarding.begin();
  await guarding.guard("e", next.fence ?? 0n);
  await release(sql, "e", next.token);
  expect(await check()).toMatchObject({
    state: "blocked",
    blocking_pid: guarding.pid,
    fence: String(next.fence),
    expires_at: null,
  });
  await guarding.commit();
  expect(await check()).toMatchObject({ state: "free" });
});

test("force_release takes a lock from its holder: at its next renewal, or at once; or says that there is nothing to take", async () => {
  const force = async (rest = "") => (await sql.unsafe(`select * from leasehold.force_release('f'${rest})`))[0];
  const nobody = {
    holder: null,
    holder_fence: null,
    holders: null,
    free_at: null,
    blocking_pid: null,
    blocking_transaction: null,
  };
  expect(await force()).toEqual({ outcome: "gone", ...nobody });
  await using locker = openLocker(database, { owner: "its holder", ttlMs: 60_000, keepAlive: false });
  const first = await locker.acquire("f");
  expect(await force(`, fence => ${first.fence + 1n}`)).toMatchObject({ outcome: "gone" });
  const revoked = await force(`, ${first.fence}`);
  expect(revoked).toEqual({
    ...nobody,
    outcome: "revoked",
    holder: "its holder",
    holder_fence: String(first.fence),
    holders: [expect.objectContaining({ owner: "its holder", fence: String(first.fence), weight: null })],
    free_at: first.expiresAt,
  });
  expect((await sql`select state, expires_at from leasehold.check('f')`)[0]).toEqual({
    state: "revoked",
    expires_at: first.expiresAt,
  });
  await expect(first.renew()).rejects.toMatchObject({ reason: "forced" });

  const second = await locker.acquire("f");
  const wait = locker.acquire("f");
  await untilQueued(database, "f", 1);
  expect(await force(", immediate => true")).toEqual({
    ...nobody,
    outcome: "released",
    holder: "its holder",
    holder_fence: String(second.fence),
    holders: [expect.objectContaining({ fence: String(second.fence) })],
  });
  await (await wait).release();
  await expect(second.release()).rejects.toMatchObject({ name: "LeaseLostError" });
});

test("a row that somebody keeps locked holds up nobody: busy is an answer, or an error that names the process", async () => {
  const grant = await tryAcquire(sql, "g");
  await using keeping = await openSession(database);
  await keeping.begin();
  await keeping.run("select from leasehold.leases where key = 'g' for update");
  const blocked = { code: "55P03", detail: `It is open in the server process ${keeping.pid}.` };
  await expect(release(sql, "g", grant.token)).rejects.toMatchObject(blocked);
  await expect(sql`select leasehold.force_release('g')`).rejects.toMatchObject(blocked);
  await expect(sql`select leasehold.renew('g', ${grant.token}::text::uuid)`).rejects.toMatchObject({ code: "55P03" });
  await keeping.rollback();
  expect(await release(sql, "g", grant.token)).toBe(true);

  await keeping.begin();
  await keeping.run("select from leasehold.leases where key = 'g' for update");
  expect(await tryAcquire(sql, "g")).toMatchObject({ acquired: false, holder: null });
  await keeping.rollback();
});

async function inTransaction(run: (session: Session) => Promise<void>, end: "commit" | "rollback"): Promise<void> {
  await using session = await openSession(database);
  await session.begin();
  await run(session);
  await session[end]();
}

test("within an open transaction the key is granted to nobody else, and to this one with the commit", async () => {
  await using locker = openLocker(database);
  let grant: Acquired | undefined;
  await inTransaction(async (session) => {
    grant = await tryAcquire(session.sql, "h", "1 hour");
    expect(grant.acquired).toBe(true);
    expect(await locker.tryAcquire("h")).toBeNull();
    expect(await sql`select from leasehold.leases where key = 'h'`).toHaveLength(0);
  }, "commit");
  expect(await locker.check("h")).toMatchObject({ state: "held", fence: grant?.fence });
  await release(sql, "h", grant?.token ?? null);

  // a row that is there already: locked until the end
  await inTransaction(async (session) => {
    grant = await tryAcquire(session.sql, "h", "1 hour");
    expect(await locker.tryAcquire("h")).toBeNull();
    expect(await tryAcquire(sql, "h")).toMatchObject({ acquired: false });
  }, "rollback");
  const lock = await locker.tryAcquire("h");
  expect(lock).not.toBeNull();
  expect(await release(sql, "h", grant?.token ?? null)).toBe(false);
  await lock?.release();
});

test("a try that fails leaves the durability of the caller's transaction alone; one that is granted raises it", async () => {
  const grant = await tryAcquire(sql, "i");
  await inTransaction(async (session) => {
    expect(await tryAcquire(session.sql, "i")).toMatchObject({ acquired: false });
    expect(await session.setting("synchronous_commit")).toBe("on");
    await session.run("set local synchronous_commit = off");
    await tryAcquire(session.sql, "i");
    await release(session.sql, "i", grant.token);
    expect(await session.setting("synchronous_commit")).toBe("off");
    await tryAcquire(session.sql, "other");
    expect(await session.setting("synchronous_commit")).toBe("on");
  }, "rollback");
  await release(sql, "i", grant.token);
});

test.each(["repeatable read", "serializable"] as const)(
  "under %s it refuses: what it sees may be old",
  async (isolation) => {
    await using session = await openSession(database);
    for (const call of [
      "select leasehold.try_acquire('a')",
      "select leasehold.renew('a', gen_random_uuid())",
      "select leasehold.release('a', gen_random_uuid())",
      "select leasehold.check('a')",
      "select leasehold.attach()",
      "select leasehold.force_release('a')",
    ]) {
      await session.begin(isolation);
      await expect(session.run(call), call).rejects.toMatchObject({ code: "LH004" });
      await session.rollback();
    }
  },
);
