// locker.checkFence: for writers that share no transaction with Postgres.
import { expect, test } from "vitest";
import { ClosedError, InvalidOptionError, StaleFenceError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";

const database = await createDatabase();

test("a fence passes until the resource has seen a larger one", async () => {
  await using locker = openLocker(database);

  await locker.checkFence("bucket/a", 5n);
  await locker.checkFence("bucket/a", 5n);
  await locker.checkFence("bucket/b", 2n);
  await locker.checkFence("bucket/a", 7n);

  const refused: unknown = await locker.checkFence("bucket/a", 6n).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(StaleFenceError);
  expect(refused).toMatchObject({ code: "stale-fence", key: "bucket/a", fence: 6n, holder: null });
  expect((refused as Error).message).toBe('"bucket/a" has seen a larger fence than 6: do not write.');
});

test("a fence that no lock can have yet is an invalid argument, and leaves no mark", async () => {
  await using locker = openLocker(database);
  const refused: unknown = await locker.checkFence("poison", 2n ** 62n).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(InvalidOptionError);
  expect(refused).toMatchObject({ option: "fence", expected: "the fence of a lock in this database" });
  await locker.checkFence("poison", await locker.withLock("poison", ({ fence }) => fence));
});

test("of the fences of a lock, the later one wins, whichever comes first", async () => {
  await using locker = openLocker(database);
  const first = await locker.withLock("report", (lock) => lock.fence);
  const second = await locker.withLock("report", (lock) => lock.fence);

  await locker.checkFence("report.pdf", second);

  await expect(locker.checkFence("report.pdf", first)).rejects.toThrow(StaleFenceError);
});

test("at once, from many sides, no smaller fence passes after a larger one", async () => {
  await using one = openLocker(database);
  await using other = openLocker(database, { presence: "off" });
  const passed: bigint[] = [];
  const fences = Array.from({ length: 60 }, (_, index) => BigInt(index + 1)).sort(() => Math.random() - 0.5);

  await Promise.allSettled(
    fences.map(async (fence, index) => {
      await (index % 2 === 0 ? one : other).checkFence("busy", fence);
      passed.push(fence);
    }),
  );

  expect(passed).toContain(60n);
  await expect(one.checkFence("busy", 59n)).rejects.toThrow(StaleFenceError);
});

test("what can be no resource and no fence is refused before anything is sent", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url));

  for (const resource of ["", "x".repeat(513), "a\0b", 5, null]) {
    await expect(locker.checkFence(resource as string, 1n)).rejects.toThrow(InvalidOptionError);
  }
  for (const fence of [0n, -1n, 5, "5", null, 2n ** 63n]) {
    await expect(locker.checkFence("a", fence as bigint)).rejects.toThrow(InvalidOptionError);
  }
  expect(proxy.statements).toEqual([]);

  await locker.close();
  await expect(locker.checkFence("a", 1n)).rejects.toThrow(ClosedError);
});
