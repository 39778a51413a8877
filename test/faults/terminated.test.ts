// pg_terminate_backend of each connection of a locker. A crash or an unhandled rejection fails the whole run.
import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";
import { Gate } from "./gate.js";

const database = await createDatabase();
const { sql } = database;
const gate = await Gate.build(database);
const connections = ["session", "commands", "renewals"] as const;
const presences = ["on", "off"] as const;
const requestTimeoutMs = 5_000;
const each = presences.flatMap((presence) =>
  connections.filter((name) => presence === "on" || name !== "session").map((name) => [name, presence] as const),
);

async function pidOf(name: string): Promise<number> {
  return until(`there is a connection for ${name}`, async () => {
    const [row] = await sql`
      select pid from pg_stat_activity
      where datname = current_database() and application_name = ${`leasehold ${name}`} and state = 'idle'`;
    return row?.pid as number | undefined;
  });
}

const isGone = async (pid: number) => (await sql`select from pg_stat_activity where pid = ${pid}`).length === 0;

test.each(each)("the idle connection for %s is terminated: no lock is lost (presence: %s)", async (name, presence) => {
  const key = `idle-${name}-${presence}`;
  const errors: unknown[] = [];
  await using locker = openLocker(database, {
    presence,
    ttlMs: 20_000,
    requestTimeoutMs,
    renewEveryMs: 200,
    onError: (error) => errors.push(error),
  });
  await using lock = await locker.acquire(key);
  const { signal } = lock;
  const before = await leaseRow(sql, key);
  const pid = await pidOf(name);

  expect(await sql`select pg_terminate_backend(${pid}) as done`).toEqual([{ done: true }]);
  await until("it is gone", () => isGone(pid));

  expect(await locker.withLock(`${key}-other`, ({ held }) => held)).toBe(true);
  await until("it is renewed", async () => (await leaseRow(sql, key)).expiresAt > before.expiresAt + 400);
  expect(await pidOf(name)).not.toBe(pid);
  await until("it is held", () => lock.held);
  expect(signal.aborted).toBe(false);
  expect(await leaseRow(sql, key)).toMatchObject(grantOf(lock));
  if (name === "session") expect(errors).not.toEqual([]);
});

test.each(each)(
  "the connection for %s is terminated in the middle of a statement: it is sent again, and no lock is lost (presence: %s)",
  async (name, presence) => {
    const key = `middle-${name}-${presence}`;
    await using locker = openLocker(database, { presence, ttlMs: 20_000, requestTimeoutMs, renewEveryMs: 200 });
    await using other = openLocker(database);
    await using lock = await locker.acquire(key);
    await using free = await other.acquire(`${key}-free`);
    const { signal } = lock;
    await free.release();
    await pidOf(name);

    await gate.shut(`leasehold ${name}`);
    // each connection has something to do, and of one it does not come to an end
    const acquiring = name === "commands" ? locker.acquire(`${key}-free`) : null;
    const pid = await gate.standing(`leasehold ${name}`);
    expect(await sql`select pg_terminate_backend(${pid}) as done`).toEqual([{ done: true }]);
    await until("it is gone", () => isGone(pid));
    await gate.open();

    const acquired = await acquiring;
    const { expiresAt } = await leaseRow(sql, key);
    await until("it is renewed", async () => (await leaseRow(sql, key)).expiresAt > expiresAt);
    await until("it is held", () => lock.held);
    expect(signal.aborted).toBe(false);
    expect(await leaseRow(sql, key)).toMatchObject(grantOf(lock));
    if (acquired !== null) {
      expect(await leaseRow(sql, acquired.key)).toMatchObject(grantOf(acquired));
      await acquired.release();
    }
  },
);

test.each(presences)(
  "a release that is terminated in the middle is repeated, and the key is free (presence: %s)",
  async (presence) => {
    const key = `release-${presence}`;
    await using locker = openLocker(database, { presence, ttlMs: 20_000, requestTimeoutMs });
    const lock = await locker.acquire(key);

    await gate.shut("leasehold commands");
    const releasing = lock.release();
    const pid = await gate.standing("leasehold commands");
    expect(await sql`select pg_terminate_backend(${pid}) as done`).toEqual([{ done: true }]);
    await until("it is gone", () => isGone(pid));
    // rolled back with its backend
    expect(await leaseRow(sql, key)).toMatchObject(grantOf(lock));
    await gate.open();
    await releasing;

    expect(await leaseRow(sql, key)).toMatchObject({ token: null });
  },
);

test("all connections are terminated together, again and again, under load: every call ends well", async () => {
  await using locker = openLocker(database, { ttlMs: 20_000, requestTimeoutMs, renewEveryMs: 100 });
  await using lock = await locker.acquire("storm");
  const { signal } = lock;
  const perKey = new Map<string, bigint[]>();
  let ended = 0;
  const work = Promise.all(
    Array.from({ length: 6 }, async (_, worker) => {
      for (let turn = 0; turn < 8; turn += 1) {
        const key = `storm-${worker % 3}`;
        await locker.withLock(key, ({ fence }) => perKey.set(key, [...(perKey.get(key) ?? []), fence]));
        ended += 1;
      }
    }),
  );

  let terminated = 0;
  for (let round = 0; round < 4; round += 1) {
    const target = ended + 4;
    const rows = await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name like 'leasehold %'`;
    terminated += rows.length;
    await Promise.race([until("it goes on", () => ended >= target), work]);
  }
  await work;

  expect(terminated).toBeGreaterThan(6);
  for (const fences of perKey.values()) expect(fences).toEqual([...fences].sort((a, b) => (a < b ? -1 : 1)));
  await until("it is held", () => lock.held);
  expect(signal.aborted).toBe(false);
});
