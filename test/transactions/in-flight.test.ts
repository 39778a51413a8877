// While a guarded transaction is open, who waits for its key is told what for.
import { expect, test } from "vitest";
import { WaitTimeoutError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { libraries } from "./libraries.js";

const database = await createDatabase();

test.each(libraries)("the lock is released in it: $name", async (library) => {
  await using locker = openLocker(database, { owner: "the first" });
  await using other = openLocker(database);
  await using opened = library.open(database.url);
  const lock = await locker.acquire("a");

  await opened.guarded(lock, async (run) => {
    const [row] = await run("select pg_backend_pid() as pid");
    expect(await other.check("a")).toMatchObject({ state: "held", blockingPid: row?.pid, owner: "the first" });
    await lock.release();

    const waited: unknown = await other.acquire("a", { waitMs: 300 }).catch((error: unknown) => error);
    expect(waited).toBeInstanceOf(WaitTimeoutError);
    expect(waited).toMatchObject({ blockingPid: row?.pid });
    expect((waited as Error).message).toContain(`blocked by the open transaction of server process ${row?.pid}`);

    const info = await other.check("a");
    expect(info).toMatchObject({
      state: "blocked",
      blockingPid: row?.pid,
      owner: "the first",
      holders: [],
      fence: lock.fence,
    });
    expect(info).toMatchObject({ expiresAt: null, remainingMs: 0 });
    expect(await other.isLocked("a")).toBe(true);
    expect(await other.tryWithLock("a", () => "ran")).toMatchObject({ acquired: false });
  });

  expect(await other.check("a")).toBeNull();
  expect(await other.isLocked("a")).toBe(false);
  expect(await other.tryWithLock("a", () => "ran")).toMatchObject({ acquired: true });
});

test("the lease expires in it: it commits, and the key is granted right after", async () => {
  await using locker = openLocker(database);
  await using other = openLocker(database);
  await using opened = libraries[0]?.open(database.url);
  const lock = await locker.acquire("b", { ttlMs: 4_000, keepAlive: false, guardTimeoutMs: 30_000 });

  await opened?.guarded(lock, async (run) => {
    const [row] = await run("select pg_backend_pid() as pid");
    await new Promise<void>((resolve) => lock.signal.addEventListener("abort", () => resolve()));
    // who lost it lets go of it as well
    await expect.poll(() => other.check("b")).toMatchObject({ state: "blocked", blockingPid: row?.pid });
    expect(await other.isLocked("b")).toBe(true);
    expect(await other.tryAcquire("b")).toBeNull();
  });

  const next = await other.acquire("b");
  expect(next.fence).toBeGreaterThan(lock.fence);
});
