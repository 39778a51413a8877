import { expect, test } from "vitest";
import type { Lock } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { createWitness, enter, leave, verdict } from "../support/witness.js";

const database = await createDatabase();
const { sql } = database;
await createWitness(sql);

test.each(["on", "off"] as const)(
  "many that want one key in one process get it one after the other (presence %s)",
  async (presence) => {
    await using locker = openLocker(database, { presence });
    const key = `one-${presence}`;
    let shared = 0;
    const before = (await verdict(sql)).entries ?? 0;

    await Promise.all(
      Array.from({ length: 40 }, () =>
        locker.withLock(key, async (lock) => {
          const read = shared;
          await enter(sql, key, lock.fence);
          await leave(sql, key);
          shared = read + 1;
        }),
      ),
    );

    expect(shared).toBe(40);
    expect(await verdict(sql)).toEqual({ entries: before + 40, clashes: 0, inversions: 0, inside: 0 });
  },
);

test.each(["new", "known"])(
  "of many tries at once on a %s key, in one batch and in several lockers, one is granted",
  async (kind) => {
    await using one = openLocker(database);
    await using two = openLocker(database);
    await using three = openLocker(database, { presence: "off" });
    const key = `tries-${kind}`;
    await Promise.all([one.ready(), two.ready(), three.ready()]);
    if (kind === "known") await (await one.acquire(key)).release();

    const tries = await Promise.all(
      [one, two, three].flatMap((locker) => Array.from({ length: 20 }, () => locker.tryAcquire(key))),
    );

    const granted = tries.filter((lock) => lock !== null);
    expect(granted).toHaveLength(1);
    expect(granted[0]?.held).toBe(true);
    expect(await one.isLocked(key)).toBe(true);
    await granted[0]?.release();
    expect(await one.isLocked(key)).toBe(false);
  },
);

test("a key that this process holds is not granted to it again, and is after the release", async () => {
  await using locker = openLocker(database);
  const first = await locker.acquire("again");

  expect(await locker.tryAcquire("again")).toBeNull();
  await expect(locker.acquire("again", { waitMs: 0 })).rejects.toMatchObject({
    code: "wait-timeout",
    isHeldHere: true,
  });
  expect(first.held).toBe(true);
  await first.release();
  const second = await locker.tryAcquire("again");
  expect(second?.fence).toBeGreaterThan(first.fence);
  await second?.release();
});

test("keys are told apart by their whole text: case, blanks, Unicode form, the last of 512 bytes, and hashes that collide", async () => {
  await using locker = openLocker(database);
  await using other = openLocker(database);
  const long = "k".repeat(511);
  // twins by the hash that guards the insert of a new key
  const [twins] =
    await sql`select min(t) as one, max(t) as two from (select format('twin-%s', n) as t from generate_series(1, 300000) n) candidates
    group by hashtext(t) having count(*) > 1 limit 1`;
  const keys = ["Key", "key", "key ", " key", "k\u00e9y", "ke\u0301y", `${long}a`, `${long}b`, twins?.one, twins?.two];
  expect(new Set(keys).size).toBe(10);

  const locks = await Promise.all(
    keys.map((key, index) => (index % 2 === 0 ? locker : other).acquire(key, { waitMs: 5_000 })),
  );

  expect(locks.map((lock) => lock.held)).not.toContain(false);
  const rows = await sql`select key, token from leasehold.leases where token is not null`;
  expect(new Set(rows.map(({ token }) => token)).size).toBe(keys.length);
  expect(rows.map(({ key }) => key).sort()).toEqual([...keys].sort());
  for (const key of keys) expect(await other.tryAcquire(key)).toBeNull();
});

test("a key whose row is locked by somebody's open transaction holds up no other key of its batch", async () => {
  await using locker = openLocker(database, { ttlMs: 60_000 });
  const keys = Array.from({ length: 20 }, (_, number) => `batch-${number}`);
  for (const lock of await Promise.all(keys.map((key) => locker.acquire(key)))) await lock.release();
  const order: string[] = [];
  const took = (lock: Lock): Lock => {
    order.push(lock.key);
    return lock;
  };

  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  let transaction: Promise<unknown> = Promise.resolve();
  await new Promise<void>((locked) => {
    transaction = sql.begin(async (tx) => {
      await tx`select from leasehold.leases where key = 'batch-7' for update`;
      locked();
      await opened;
    });
  });
  const all = keys.map((key) => locker.acquire(key).then(took));
  const others = await Promise.all(all.filter((_, index) => index !== 7));
  expect(order).not.toContain("batch-7");
  for (const lock of others) await lock.renew();
  for (const lock of others) await lock.release();
  open();
  await transaction;

  expect((await all[7])?.key).toBe("batch-7");
  expect(order.at(-1)).toBe("batch-7");
});
