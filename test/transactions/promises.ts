// The promises of lock.transaction and lock.guard, which hold over every library.
import { beforeEach, describe, expect, test } from "vitest";
import { LeaseLostError, type Lock, type Locker, NotHeldError, StaleFenceError } from "../../src/index.js";
import type { TestDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import type { Library } from "./library.js";

/** Declares the tests. The database needs the table `written`. */
export function testPromises(libraries: readonly Library[], database: TestDatabase): void {
  const { sql } = database;
  const written = async () => (await sql`select what from written order by what`).map(({ what }) => what);

  beforeEach(async () => {
    await sql`truncate written`;
  });

  describe.each(libraries)("$name", (library) => {
    test("the body writes in a transaction that is guarded first, and its value comes back", async () => {
      await using locker = openLocker(database);
      await using opened = library.open(database.url);

      const value = await locker.withLock("a", (lock) =>
        opened.guarded(lock, async (run) => {
          const [row] = await run("select leasehold.is_guarded('a') as guarded");
          await run("insert into written values ('one')");
          expect(await written()).toEqual([]);
          return row;
        }),
      );

      expect(value).toEqual({ guarded: true });
      expect(await written()).toEqual(["one"]);
    });

    test("after a takeover the body does not run, the error says who holds the key, and the signal fires", async () => {
      await using locker = openLocker(database);
      await using other = openLocker(database, { owner: "the other" });
      await using opened = library.open(database.url);
      const lock = await locker.acquire("b", { keepAlive: false });
      const theirs = await takeOver(lock, other);
      let hasRun = false;

      const refused = opened.guarded(lock, async () => {
        hasRun = true;
      });

      const error: StaleFenceError = await refused.then(
        () => expect.fail("it was not refused"),
        (reason) => reason,
      );
      expect(error).toBeInstanceOf(StaleFenceError);
      expect(error).toMatchObject({ code: "stale-fence", key: "b", fence: lock.fence });
      expect(error.holder).toMatchObject({ owner: "the other", fence: theirs.fence, isThisProcess: false });
      expect(error.message).toContain('held by "the other"');
      expect(hasRun).toBe(false);
      await until("the loss is told", () => lock.signal.aborted);
      expect(lock.signal.reason).toBeInstanceOf(LeaseLostError);
      // the connection was left in order
      expect(await opened.plain((run) => run("select 1 as one"))).toEqual([{ one: 1 }]);
    });

    test("the body's own error is kept as it is, and nothing that it wrote", async () => {
      await using locker = openLocker(database);
      await using opened = library.open(database.url);
      const mine = Object.assign(new Error("mine"), { cause: { code: "LH001" } });

      const failed = locker.withLock("c", (lock) =>
        opened.guarded(lock, async (run) => {
          await run("insert into written values ('no')");
          throw mine;
        }),
      );

      expect(await failed.catch((error: unknown) => error)).toBe(mine);
      expect(await written()).toEqual([]);
      expect(await opened.plain((run) => run("select 1 as one"))).toEqual([{ one: 1 }]);
    });

    test("a statement's error in the body is the library's own", async () => {
      await using locker = openLocker(database);
      await using opened = library.open(database.url);
      let own: unknown;

      const failed = locker.withLock("c", (lock) =>
        opened.guarded(lock, async (run) => {
          await run("select 1 / 0").catch((error: unknown) => {
            own = error;
            throw error;
          });
        }),
      );

      expect(await failed.catch((error: unknown) => error)).toBe(own);
      expect(own).toBeInstanceOf(Error);
    });

    test("a nested transaction is undone by itself, and the guard stands", async () => {
      await using locker = openLocker(database);
      await using opened = library.open(database.url);

      await locker.withLock("d", (lock) =>
        opened.guarded(lock, async (run, tx) => {
          const undone = opened.nested(tx, async (nested) => {
            await nested("insert into written values ('undone')");
            throw new Error("undo");
          });
          await expect(undone).rejects.toThrow("undo");
          await opened.nested(tx, async (nested) => {
            await nested("insert into written values ('nested')");
          });
          expect(await run("select leasehold.is_guarded('d') as guarded")).toEqual([{ guarded: true }]);
        }),
      );

      expect(await written()).toEqual(["nested"]);
    });

    test("the isolation level is handed on", async () => {
      await using locker = openLocker(database);
      await using opened = library.open(database.url);
      const level = "select current_setting('transaction_isolation') as level";

      const levels = await locker.withLock("e", async (lock) => [
        await opened.guarded(lock, (run) => run(level)),
        await opened.guarded(lock, (run) => run(level), "serializable"),
      ]);

      expect(levels).toEqual([[{ level: "read committed" }], [{ level: "serializable" }]]);
    });

    test("what is known to have ended is refused before anything is sent", async () => {
      await using locker = openLocker(database);
      await using proxy = await startProxy(database.url);
      await using opened = library.open(proxy.url(database.url));
      await opened.plain((run) => run("select 1")); // connected
      const released = await locker.acquire("f");
      await released.release();
      const expired = await locker.acquire("f", { ttlMs: 1_000, keepAlive: false });
      await until("the lease has expired", () => expired.signal.aborted);
      proxy.statements.length = 0;
      const body = () => Promise.reject(new Error("the body has run"));

      await expect(opened.guarded(released, body)).rejects.toThrow(NotHeldError);
      await expect(opened.guarded(expired, body)).rejects.toThrow(LeaseLostError);

      expect(proxy.statements).toEqual([]);
    });

    test("guard: what an open transaction writes, before and after, is committed", async () => {
      await using locker = openLocker(database);
      await using opened = library.open(database.url);

      await locker.withLock("g", (lock) =>
        opened.plain(async (run, tx) => {
          await run("insert into written values ('before')");
          await lock.guard(tx, { acceptReconnect: library.acceptReconnect });
          await run("insert into written values ('after')");
          expect(await run("select leasehold.is_guarded('g') as guarded")).toEqual([{ guarded: true }]);
        }),
      );

      expect(await written()).toEqual(["after", "before"]);
    });

    test("guard: after a takeover nothing of the transaction is committed, even if the error is swallowed", async () => {
      await using locker = openLocker(database);
      await using other = openLocker(database);
      await using opened = library.open(database.url);
      const lock = await locker.acquire("h", { keepAlive: false });
      await takeOver(lock, other);
      let refusal: unknown;

      await opened
        .plain(async (run, tx) => {
          await run("insert into written values ('before')");
          await lock.guard(tx, { acceptReconnect: library.acceptReconnect }).catch((error: unknown) => {
            refusal = error;
          });
        })
        .catch(() => undefined); // postgres.js tells of it

      expect(refusal).toBeInstanceOf(StaleFenceError);
      expect(await written()).toEqual([]);
    });

    test("a guarded transaction keeps the key from others until it ends, also when the lock is released in it", async () => {
      await using locker = openLocker(database);
      await using other = openLocker(database);
      await using opened = library.open(database.url);
      const lock = await locker.acquire("i");

      await opened.guarded(lock, async () => {
        await lock.release();
        expect(await other.tryAcquire("i")).toBeNull();
      });

      const next = await other.acquire("i");
      expect(next.fence).toBeGreaterThan(lock.fence);
    });
  });
}

/** Another holds the key now, and the first one has not heard of it. */
async function takeOver(lock: Lock, other: Locker): Promise<Lock> {
  await other.forceRelease(lock.key, { immediate: true });
  return await other.acquire(lock.key);
}
