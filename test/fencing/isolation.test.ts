// Under one snapshot for the whole transaction, under savepoints and in prepared transactions.
import { describe, expect, test } from "vitest";
import { ask, giveBack } from "../support/ask.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";
import { expire, openGuard, openSession } from "./session.js";

const database = await createDatabase();
const { sql } = database;

describe.each(["repeatable read", "serializable"] as const)("%s", (isolation) => {
  test("a guard passes as the first statement, and later where nothing has changed", async () => {
    await using locker = openLocker(database, { presence: "off", keepAlive: false });
    await using lock = await locker.acquire("a");
    await using session = await openSession(database);
    await session.begin(isolation);
    await session.guard("a", lock.fence);
    expect(await session.isGuarded("a")).toBe(true);
    await session.commit();

    await session.begin(isolation);
    await session.run("select count(*) from leasehold.leases");
    await session.guard("a", lock.fence);
    await session.guard("a", lock.fence);
    expect(await session.isGuarded("a")).toBe(true);
    await session.commit();
  });

  test("whatever happened to the lease since the snapshot is a serialization failure, never a yes", async () => {
    await using locker = openLocker(database, { presence: "off", keepAlive: false });
    for (const change of [
      "renewed",
      "released",
      "revoked",
      "forced at once",
      "expired and granted to another",
      "released, granted to another and released",
      "released and forgotten",
      "released, forgotten and granted to another",
    ]) {
      const lock = await locker.acquire("a");
      await using session = await openSession(database);
      await session.begin(isolation);
      await session.run("select 1 from leasehold.leases limit 0"); // takes the snapshot
      if (change === "renewed") await lock.renew();
      if (change.startsWith("released")) await lock.release();
      if (change === "revoked") await locker.forceRelease("a");
      if (change.startsWith("forced")) await locker.forceRelease("a", { immediate: true });
      if (change.startsWith("expired")) await expire(database, "a");
      if (change.includes("forgotten")) await sql`delete from leasehold.leases where key = 'a'`;
      if (change.includes("granted")) {
        const asked = await ask(sql, ["a"]);
        expect(asked[0]?.outcome).toBe("granted");
        if (change.includes("and released")) await giveBack(sql, asked);
        else expectLeft(database, "leases");
      }

      await expect(session.guard("a", lock.fence), change).rejects.toMatchObject({ code: "40001" });
      await session.rollback();
      await sql`delete from leasehold.leases where key = 'a'`;
      await lock.release().catch(() => undefined);
    }
  });

  test("a key that was first granted since the snapshot is a serialization failure, one that never was is refused", async () => {
    await using locker = openLocker(database, { presence: "off", keepAlive: false });
    await using session = await openSession(database);
    await session.begin(isolation);
    await session.run("select 1 from leasehold.leases limit 0");
    await using lock = await locker.acquire(`first ${isolation}`);
    await expect(session.guard(lock.key, lock.fence)).rejects.toMatchObject({ code: "40001" });
    await session.rollback();

    await session.begin(isolation);
    await session.run("savepoint here");
    await expect(session.guard("never", 1n)).rejects.toMatchObject({ code: "LH001" });
    await session.run("rollback to here");
    await session.commit();
    expect(await sql`select from leasehold.leases where key = 'never'`).toHaveLength(0);
  });

  test("a lease that has expired by the clock alone is refused, for the snapshot has no clock", async () => {
    await using locker = openLocker(database, { presence: "off", keepAlive: false });
    const lock = await locker.acquire("a");
    await sql`update leasehold.leases set expires_at = clock_timestamp() + interval '0.2 s' where key = 'a'`;
    await using session = await openSession(database);
    await session.begin(isolation);
    await session.run("select 1 from leasehold.leases limit 0; select pg_sleep(0.3)");
    await expect(session.guard("a", lock.fence)).rejects.toMatchObject({ code: "LH001" });
    await session.rollback();
    await lock.release().catch(() => undefined);
  });

  test("renewals, expiry and release after the guard change nothing for the transaction", async () => {
    await using locker = openLocker(database, { presence: "off", keepAlive: false });
    const lock = await locker.acquire("a");
    await using session = await openSession(database);
    await session.begin(isolation);
    await session.guard("a", lock.fence);
    await lock.renew();
    expect(await session.isGuarded("a")).toBe(true);
    await expire(database, "a");
    await lock.release().catch(() => undefined);
    expect(await session.isGuarded("a")).toBe(true);
    // the lock is on the newest version of the row, not on the one that the snapshot shows
    expect((await ask(sql, ["a"]))[0]?.outcome).toBe("busy");
    await session.commit();
    const asked = await ask(sql, ["a"]);
    expect(asked[0]?.outcome).toBe("granted");
    await giveBack(sql, asked);
  });

  test("two guarded transactions on one lease, with renewals in between, both commit", async () => {
    await using locker = openLocker(database, { presence: "off", keepAlive: false });
    await using lock = await locker.acquire("a");
    await sql`create table if not exists counters (id int primary key, n int)`;
    await sql`insert into counters values (1, 0), (2, 0) on conflict (id) do update set n = 0`;
    await using first = await openSession(database);
    await using second = await openSession(database);
    for (const session of [first, second]) {
      await session.begin(isolation);
      await session.guard("a", lock.fence);
      await lock.renew();
    }
    await first.run("update counters set n = n + 1 where id = 1");
    await second.run("update counters set n = n + 1 where id = 2");
    await first.commit();
    await second.commit();
    expect([...(await sql`select n from counters`)]).toEqual([{ n: 1 }, { n: 1 }]);
  });
});

describe("savepoints", () => {
  test("a guard that was rolled back guards nothing, and the key can be granted", async () => {
    await using locker = openLocker(database, { presence: "off", keepAlive: false });
    const lock = await locker.acquire("a");
    await using session = await openSession(database);
    await session.run("begin; savepoint s");
    await session.guard("a", lock.fence);
    expect(await session.isGuarded("a")).toBe(true);
    await session.run("rollback to s");
    expect(await session.isGuarded("a")).toBe(false);
    await expect(
      session.sql`select leasehold_internal.require_guard('a', ${String(lock.fence)}::bigint)`,
    ).rejects.toMatchObject({ code: "LH005" });
    await session.run("rollback to s");

    await lock.release();
    const asked = await ask(sql, ["a"]);
    expect(asked[0]?.outcome).toBe("granted");
    // nor does it come back by the record of it
    await expect(session.guard("a", lock.fence)).rejects.toMatchObject({ code: "LH001" });
    await session.rollback();
    await giveBack(sql, asked);
  });

  test("a guard before the savepoint outlives the rollback of one after it", async () => {
    await using locker = openLocker(database, { presence: "off", keepAlive: false });
    const lock = await locker.acquire("a");
    await using session = await openGuard(database, lock);
    await session.run("savepoint s");
    await session.guard("a", lock.fence);
    await session.run("savepoint t");
    await lock.renew();
    await session.guard("a", lock.fence);
    await session.run("rollback to s");
    expect(await session.isGuarded("a")).toBe(true);
    await lock.release();
    expect((await ask(sql, ["a"]))[0]?.outcome).toBe("busy");
    expect(await session.isGuarded("a")).toBe(true);
    await session.commit();
  });

  test("a guard in a savepoint that was released holds to the end, as does one in a block with an exception handler", async () => {
    await using locker = openLocker(database, { presence: "off", keepAlive: false });
    for (const guard of [
      "savepoint s; select leasehold.guard('a', FENCE); release s",
      "do $$ begin perform leasehold.guard('a', FENCE); exception when division_by_zero then null; end $$",
    ]) {
      const lock = await locker.acquire("a");
      await using session = await openSession(database);
      await session.run(`begin; ${guard.replace("FENCE", String(lock.fence))}`);
      await lock.release();
      expect(await session.isGuarded("a")).toBe(true);
      expect((await ask(sql, ["a"]))[0]?.outcome).toBe("busy");
      await session.commit();
    }
  });

  test("of two keys, the one in the savepoint that was rolled back is free, and the other is not", async () => {
    await using locker = openLocker(database, { presence: "off", keepAlive: false });
    const [outer, inner] = [await locker.acquire("outer"), await locker.acquire("inner")];
    await using session = await openGuard(database, outer);
    await session.run("savepoint s");
    await session.guard("inner", inner.fence);
    await session.run("rollback to s");
    expect([await session.isGuarded("outer"), await session.isGuarded("inner")]).toEqual([true, false]);
    await Promise.all([outer.release(), inner.release()]);
    const asked = await ask(sql, ["outer", "inner"]);
    expect(asked.map(({ outcome }) => outcome)).toEqual(["busy", "granted"]);
    await giveBack(sql, asked);
    await session.commit();
  });
});

test("a prepared transaction keeps the key without its session and over a crash, and check() names it", async () => {
  await using cluster = await startCluster({ settings: { max_prepared_transactions: 5 } });
  await using own = await createDatabase({ on: cluster });
  await using locker = openLocker(own, { presence: "off", keepAlive: false, requestTimeoutMs: 20_000 });
  await own.sql`create table entries (key text)`;
  for (const isWithSavepoint of [false, true]) {
    const lock = await locker.acquire("a");
    const gid = `half of a transfer, ${isWithSavepoint}`;
    {
      await using session = await openSession(own);
      await session.begin();
      if (isWithSavepoint) await session.run("savepoint s");
      await session.guard("a", lock.fence);
      await session.run(`insert into entries values ('a')${isWithSavepoint ? "; release s" : ""}`);
      await session.run(`prepare transaction '${gid}'`);
      expect(await session.isGuarded("a")).toBe(false);
    }
    await lock.renew();
    await lock.release();
    expect(await locker.check("a")).toMatchObject({ state: "blocked", blockingPid: null, blockingTransaction: gid });
    expect((await ask(own.sql, ["a"]))[0]?.outcome).toBe("busy");
    await expire(own, "a");
    const state = await own.sql`select gid, blocker from leasehold_internal.inspect('a')`;
    expect([...state]).toEqual([{ gid, blocker: null }]);

    await cluster.restart("immediate");
    await until("it is back", () => own.sql`select 1`.catch(() => null));
    expect((await ask(own.sql, ["a"]))[0]?.outcome).toBe("busy");
    await own.sql.unsafe(`commit prepared '${gid}'`);
    const asked = await ask(own.sql, ["a"]);
    expect(asked[0]?.outcome).toBe("granted");
    await giveBack(own.sql, asked);
  }
  expect(await own.sql`select from entries`).toHaveLength(2);

  const lock = await locker.acquire("b");
  await using session = await openGuard(own, lock);
  await session.run("prepare transaction 'seen'");
  expect(await locker.check("b")).toMatchObject({ state: "held", blockingPid: null, blockingTransaction: "seen" });
  expect(JSON.parse(JSON.stringify(await locker.check("b")))).toMatchObject({ blockingTransaction: "seen" });
  await own.sql`rollback prepared 'seen'`;
  expect(await locker.check("b")).toMatchObject({ blockingTransaction: null });
  await lock.release();
});
