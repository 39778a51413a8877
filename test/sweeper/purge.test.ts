// What the sweeper deletes, and above all what it does not.
import type postgres from "postgres";
import { afterEach, describe, expect, test } from "vitest";
import { openSession, waitsForLock } from "../fencing/session.js";
import { createDatabase } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

afterEach(async () => {
  await sql`truncate leasehold.leases, leasehold.waiters, leasehold.sessions`;
});

interface Swept {
  readonly woken: number;
  readonly leases_purged: number;
  readonly waiters_purged: number;
  readonly sessions_purged: number;
  readonly counters_purged: number;
  readonly is_busy: boolean;
  readonly has_more: boolean;
}

const nothing: Swept = {
  woken: 0,
  leases_purged: 0,
  waiters_purged: 0,
  sessions_purged: 0,
  counters_purged: 0,
  is_busy: false,
  has_more: false,
};

async function sweep(client: postgres.Sql = sql): Promise<Swept> {
  const [swept] = await client<Swept[]>`select * from leasehold.sweep()`;
  return swept as Swept;
}

async function keys(): Promise<string[]> {
  return (await sql`select key from leasehold.leases order by key`).map(({ key }) => key);
}

/** A row as if made by a client: times are minutes from now. */
async function putLease(key: string, values: Readonly<Record<string, string>>): Promise<void> {
  const columns = { key: `'${key}'`, fence: "nextval('leasehold.fences')", ttl_ms: "30000", ...values };
  await sql.unsafe(
    `insert into leasehold.leases (${Object.keys(columns).join(", ")}) values (${Object.values(columns).join(", ")})`,
  );
}

const minutes = (count: number) => `clock_timestamp() + interval '${count} minutes'`;
const held = (expiresIn: number) => ({
  token: "gen_random_uuid()",
  owner: "'somebody'",
  expires_at: minutes(expiresIn),
});

async function putWaiter(key: string, aliveFor: number): Promise<void> {
  await sql.unsafe(`
    insert into leasehold.waiters (key, ticket, token, owner, enqueued_at, alive_until)
    values ('${key}', nextval('leasehold.tickets'), gen_random_uuid(), 'waiter', clock_timestamp(), ${minutes(aliveFor)})`);
}

async function putSession(id: number, seen: number): Promise<void> {
  await sql.unsafe(`
    insert into leasehold.sessions (id, nonce, owner, pid, host, application_name, version, started_at, seen_at)
    values (${id}, gen_random_uuid(), 'gone', 1, 'host', '', 'test', ${minutes(seen)}, ${minutes(seen)})`);
}

describe("leases", () => {
  test.each([
    ["free for 11 minutes", { released_at: minutes(-11) }],
    ["expired for 11 minutes", held(-11)],
    ["revoked, and expired for 11 minutes", { ...held(-11), revoked_at: minutes(-12) }],
    ["free for 11 minutes, its minimum hold over for as long", { released_at: minutes(-12), hold_until: minutes(-11) }],
    ["free for 11 minutes, with a stale mark of a queue", { released_at: minutes(-11), queued: "true" }],
  ])("%s: purged", async (_, values) => {
    await putLease("a", values);
    expect(await sweep()).toEqual({ ...nothing, leases_purged: 1 });
    expect(await keys()).toEqual([]);
  });

  test.each([
    ["held", held(1)],
    ["held for a long time without a renewal", { ...held(1), acquired_at: minutes(-60), renewed_at: minutes(-60) }],
    ["held, and released long before that", { ...held(1), released_at: minutes(-60) }],
    ["free for 9 minutes", { released_at: minutes(-9) }],
    ["expired for 9 minutes", held(-9)],
    ["kept by its minimum hold", { released_at: minutes(-60), hold_until: minutes(1) }],
    ["kept by its minimum hold until just now", { released_at: minutes(-60), hold_until: minutes(-1) }],
  ])("%s: kept", async (_, values) => {
    await putLease("a", values);
    expect(await sweep()).toEqual(nothing);
    expect(await keys()).toEqual(["a"]);
    await sql`delete from leasehold.leases`;
  });

  test.each([
    ["is alive", 1],
    ["has just stopped looking", -0.5],
  ])("one with an entry in its queue is kept: its owner %s", async (_, aliveFor) => {
    await putLease("a", { released_at: minutes(-11), queued: "true" });
    await putWaiter("a", aliveFor);
    expect(await sweep()).toMatchObject({ leases_purged: 0, waiters_purged: 0 });
    expect(await keys()).toEqual(["a"]);
    await sql`delete from leasehold.waiters`;
    expect(await sweep()).toMatchObject({ leases_purged: 1 });
  });

  test("one that a transaction guards or locks is kept, and waited for by nobody", async () => {
    await using locker = openLocker(database);
    const lock = await locker.acquire("guarded");
    await using guarding = await openSession(database);
    await guarding.begin();
    await guarding.guard("guarded", lock.fence);
    await lock.release();
    await putLease("locked", { released_at: minutes(-11) });
    await sql`update leasehold.leases set released_at = clock_timestamp() - interval '11 minutes'`;
    await using locking = await openSession(database);
    await locking.begin();
    await locking.run("select from leasehold.leases where key = 'locked' for no key update");

    await using sweeping = await openSession(database);
    await sweeping.run("set lock_timeout = '2 s'");
    expect(await sweep(sweeping.sql)).toEqual(nothing);
    expect(await keys()).toEqual(["guarded", "locked"]);
    await guarding.commit();
    await locking.commit();

    expect(await sweep()).toEqual({ ...nothing, leases_purged: 2 });
  });

  test("one that is just being purged is busy, waited for by nobody, and can be had again afterwards", async () => {
    await putLease("a", { released_at: minutes(-11) });
    await sql.unsafe(`
      create function public.pause() returns trigger language plpgsql as $$
      begin perform pg_advisory_xact_lock(4711); return old; end $$;
      create trigger pause before delete on leasehold.leases for each row execute function public.pause()`);
    await using gate = await openSession(database);
    await gate.begin();
    await gate.run("select pg_advisory_xact_lock(4711)");
    await using sweeping = await openSession(database);
    const swept = sweep(sweeping.sql);
    await waitsForLock(database, sweeping);

    await using locker = openLocker(database);
    expect(await locker.tryAcquire("a")).toBeNull();
    const wait = locker.acquire("a");
    await gate.commit();

    expect(await swept).toMatchObject({ leases_purged: 1 });
    await (await wait).release();
    await sql`drop function public.pause() cascade`;
  });

  test("fences go on rising over a purge, and nothing of the old lease comes back", async () => {
    await using locker = openLocker(database, { ttlMs: 60_000, keepAlive: false });
    const old = await locker.acquire("a");
    await sql`update leasehold.leases set expires_at = clock_timestamp() - interval '11 minutes'`;
    expect(await sweep()).toMatchObject({ leases_purged: 1 });

    await using another = openLocker(database);
    const next = await another.acquire("a");
    expect(next.fence).toBeGreaterThan(old.fence);
    await expect(old.renew()).rejects.toMatchObject({ name: "LeaseLostError" });
    await expect(old.release()).rejects.toMatchObject({ name: "LeaseLostError" });
    expect(await leaseRow(sql, "a")).toMatchObject(grantOf(next));
    await next.release();
  });

  test("one whose fence is larger than the log has come to stays: its key could not count on from there", async () => {
    const old = 9n << 48n; // as restored from elsewhere, without its epoch
    await putLease("free", { fence: String(old), released_at: minutes(-11) });
    await putLease("expired", { ...held(-11), fence: String(old) });
    await putLease("ours", { released_at: minutes(-11) });
    expect(await sweep()).toMatchObject({ leases_purged: 1 });

    await using locker = openLocker(database);
    for (const key of ["free", "expired"]) {
      await using lock = await locker.acquire(key);
      expect(lock.fence).toBeGreaterThan(old);
    }
  });

  test("a retention of its own is obeyed, and one of less than a minute refused", async () => {
    await putLease("a", { released_at: minutes(-2) });
    await sql`select from leasehold.sweep(retention => '3 minutes')`;
    expect(await keys()).toEqual(["a"]);
    for (const retention of ["59 seconds", "-1 hour", null]) {
      await expect(sql`select leasehold.sweep(${retention}::text::interval)`).rejects.toMatchObject({ code: "LH003" });
    }
    for (const batch of [0, 10_001, null]) {
      await expect(sql`select leasehold.sweep(batch => ${batch}::int)`).rejects.toMatchObject({ code: "LH003" });
    }
    await sql`select from leasehold.sweep(retention => '1 minute')`;
    expect(await keys()).toEqual([]);
  });

  // Postgres compares twelve months as 360 days, and takes off a year.
  test.each(["-12 months 360 days 1 minute", "100000 years"])(
    "a retention of %s is refused, and no live lease is purged by it",
    async (retention) => {
      await putLease("live", held(60));
      const answer = await sql`select leasehold.sweep(${retention}::text::interval)`.catch((error) => error.code);
      expect(await keys()).toEqual(["live"]);
      expect(answer).toBe("LH003");
      await sql`delete from leasehold.leases`;
    },
  );
});

describe("waiters", () => {
  test("who stopped looking a minute ago is purged; who comes back queues again", async () => {
    await using holder = openLocker(database);
    await using waiter = openLocker(database);
    const lock = await holder.acquire("a");
    const wait = waiter.acquire("a");
    const place = await until("it waits", async () => (await sql`select ticket from leasehold.waiters`)[0]);
    await putWaiter("a", -0.5);
    await putWaiter("a", -1.5);

    // as if its process had been frozen
    await sql`update leasehold.waiters set alive_until = clock_timestamp() - interval '2 minutes' where ticket = ${place.ticket}`;
    const swept = await sweep();
    expect(swept.waiters_purged).toBeGreaterThanOrEqual(1);
    await until("it queues again", async () => {
      const rows =
        await sql`select from leasehold.waiters where ticket = ${place.ticket} and alive_until > clock_timestamp()`;
      return rows.length === 1;
    });
    expect(
      await sql`select from leasehold.waiters where alive_until < clock_timestamp() - interval '1 minute'`,
    ).toHaveLength(0);

    await lock.release();
    await (await wait).release();
    await sql`delete from leasehold.waiters`;
  });
});

describe("sessions", () => {
  test("a dead one that no lease names is purged", async () => {
    await putSession(1, -11);
    expect(await sweep()).toEqual({ ...nothing, sessions_purged: 1 });
    expect(await sql`select from leasehold.sessions`).toHaveLength(0);
  });

  test("one that a lease names stays: without it that lease would end by its TTL alone", async () => {
    await putSession(1, -11);
    await putLease("a", { ...held(5), session_id: "1", takeover_ms: "0" });
    expect(await sweep()).toEqual(nothing);
    await using locker = openLocker(database, { presence: "off" });
    const lock = await locker.tryAcquire("a");
    expect(lock).not.toBeNull(); // taken over from the dead
    await lock?.release();
    expect(await sweep()).toEqual({ ...nothing, sessions_purged: 1 });
  });

  test("one that a share names stays, too", async () => {
    await putSession(1, -11);
    await using locker = openLocker(database, { presence: "off" });
    const reader = await locker.acquire("a", { shared: true });
    await sql`update leasehold.shares set session_id = 1, takeover_ms = 0`;
    expect(await sweep()).toEqual(nothing);
    const writer = await locker.tryAcquire("a");
    expect(writer).not.toBeNull(); // taken over from the dead
    await writer?.release();
    expect(await sweep()).toEqual({ ...nothing, sessions_purged: 1 });
    await expect(reader.release()).rejects.toThrow(); // it was lost
  });

  test("one that was seen lately stays, and so does one that is silent while its connection stands", async () => {
    await putSession(1, -9);
    await putSession(2, -60);
    await using silent = await openSession(database);
    await silent.run("select pg_advisory_lock(1279480140, 2)");
    expect(await sweep()).toEqual(nothing);
    // its own connection may be the one that sweeps: that would get the lock
    expect(await sweep(silent.sql)).toEqual(nothing);
    await silent.run("select pg_advisory_unlock(1279480140, 2)");
    expect(await sweep()).toEqual({ ...nothing, sessions_purged: 1 });
    expectLeft(database, "sessions");
  });
});

test("the counters of a process that is gone are added to the rest", async () => {
  await sql`delete from leasehold.counters`; // of the lockers of other tests
  await using locker = openLocker(database);
  await locker.withLock("counted", () => undefined);
  await locker.close();
  await sql`update leasehold.counters set flushed_at = clock_timestamp() - interval '1 day'`;
  const before = await sql`select acquired, released from leasehold.stats`;
  expect(before[0]?.acquired).toBe("1");

  expect(await sweep()).toEqual({ ...nothing, counters_purged: 1 });
  expect(await sql`select acquired, released from leasehold.stats`).toEqual(before);
  expect(await sweep()).toEqual(nothing);
  await sql`delete from leasehold.counters`;
});

describe("batches", () => {
  test("a call purges no more than a batch of each kind, says that there is more, and the next goes on", async () => {
    await sql`insert into leasehold.leases (key, fence, ttl_ms, released_at)
      select 'k' || lpad(i::text, 3, '0'), i, 0, clock_timestamp() - interval '1 hour' from generate_series(1, 25) i`;
    await sql`insert into leasehold.waiters (key, ticket, token, owner, enqueued_at, alive_until)
      select 'other', i, gen_random_uuid(), 'gone', clock_timestamp(), clock_timestamp() - interval '1 hour' from generate_series(1, 15) i`;
    const calls: Swept[] = [];
    do {
      const [swept] = await sql<Swept[]>`select * from leasehold.sweep(batch => 10)`;
      calls.push(swept as Swept);
    } while (calls.at(-1)?.has_more);
    expect(calls.map(({ leases_purged, waiters_purged }) => [leases_purged, waiters_purged])).toEqual([
      [10, 10],
      [10, 5],
      [5, 0],
    ]);
    expect(await keys()).toEqual([]);
  });

  test("a pass that somebody left unfinished is taken up where it was, and begun again ten minutes later", async () => {
    await sql`insert into leasehold.leases (key, fence, ttl_ms, released_at)
      select 'k' || lpad(i::text, 3, '0'), i, 0, clock_timestamp() - interval '1 hour' from generate_series(1, 5) i`;
    await sql`update leasehold.sweeper set after_key = 'k003', swept_at = clock_timestamp()`;
    await sweep();
    expect(await keys()).toEqual(["k001", "k002", "k003"]);
    await sql`update leasehold.sweeper set after_key = 'k002', swept_at = clock_timestamp() - interval '601 seconds'`;
    await sweep();
    expect(await keys()).toEqual([]);
  });

  test("what is open in a transaction keeps a second sweeper away, and it says so", async () => {
    await putLease("a", { released_at: minutes(-11) });
    await using other = await openSession(database);
    await other.begin();
    await other.run("select leasehold.sweep()");
    await using second = await openSession(database);
    await second.run("set lock_timeout = '2 s'");
    expect(await sweep(second.sql)).toEqual({ ...nothing, is_busy: true });
    await other.rollback();
    expect(await sweep()).toEqual({ ...nothing, leases_purged: 1 });
  });

  test("where one snapshot serves the whole transaction it refuses to work", async () => {
    await using other = await openSession(database);
    await other.begin("repeatable read");
    await expect(other.run("select leasehold.sweep()")).rejects.toMatchObject({ code: "LH004" });
  });

  test("the caller's own durability stays what it was", async () => {
    await using other = await openSession(database);
    await other.begin();
    await other.run("select leasehold.sweep()");
    expect(await other.setting("synchronous_commit")).toBe("on");
    await other.rollback();
  });
});

describe("queues", () => {
  test.each([
    ["expired", true, held(-1)],
    ["free", true, { released_at: minutes(-1) }],
    // 0: the server of the tests may have started just now
    ["held by a dead process", true, { ...held(5), session_id: "8", takeover_ms: "0" }],
    ["held", false, held(5)],
    ["held by a process that was seen lately", false, { ...held(5), session_id: "9", takeover_ms: "300000" }],
    ["kept by its minimum hold", false, { released_at: minutes(-1), hold_until: minutes(1) }],
  ] as const)("of a key that is %s: is the first who still looks woken? %s", async (_, isWoken, values) => {
    await putSession(8, -1);
    await putSession(9, -1);
    await putLease("a", { ...values, queued: "true" });
    await sql`insert into leasehold.waiters (key, ticket, token, session_id, owner, enqueued_at, alive_until)
      select 'a', i, gen_random_uuid(), 70 + i, 'waiter', clock_timestamp(), clock_timestamp() + (i - 2) * interval '1 minute' + interval '1 second'
        from generate_series(1, 4) i`;
    const heard: string[] = [];
    await using ears = await listenTo(["leasehold_71", "leasehold_72", "leasehold_73"], heard);

    expect((await sweep()).woken).toBe(isWoken ? 1 : 0);
    await sql`select pg_notify('leasehold_73', 'end')`;
    await until("all has come", () => heard.includes("leasehold_73:end"));

    // 71 has stopped looking, 73 stands behind 72
    expect(heard).toEqual([...(isWoken ? ["leasehold_72:"] : []), "leasehold_73:end"]);
    ears.stop();
    await sql`delete from leasehold.leases`;
    await sql`delete from leasehold.waiters`;
  });
});

/** What is heard on these channels, as `channel:payload`. */
async function listenTo(channels: readonly string[], heard: string[]) {
  const { default: make } = await import("postgres");
  const ears = make(database.url, { max: 1, onnotice: () => {} });
  for (const channel of channels) await ears.listen(channel, (payload) => void heard.push(`${channel}:${payload}`));
  return { stop: () => {}, [Symbol.asyncDispose]: () => ears.end({ timeout: 1 }) };
}
