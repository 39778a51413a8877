// What advisoryLock does, over every library. Declared once for the libraries here, and once for those of test/libraries.
import { beforeEach, describe, expect, test } from "vitest";
import { findSqlState } from "../../src/guard/sql-state.js";
import { type AdvisoryLockOptions, advisoryLock, InvalidOptionError, WaitTimeoutError } from "../../src/index.js";
import { createRole, type TestDatabase } from "../support/database.js";
import { startPgBouncer } from "../support/pgbouncer.js";
import { until } from "../support/until.js";
import type { Library, Opened } from "../transactions/library.js";
import { hold, lockedBy, takeIn, waitersOf } from "./looking.js";

/** Declares the tests. The database needs the table `written`, and no schema of this package. */
export function testAdvisoryLocks(libraries: readonly Library[], database: TestDatabase): void {
  const { sql } = database;

  beforeEach(async () => {
    await sql`truncate written`;
  });

  describe.each(libraries)("$name", (library) => {
    const open = (url = database.url): Opened => library.open(url);
    const lock = (tx: never, key: string, options: AdvisoryLockOptions = {}) =>
      advisoryLock(tx, key, { acceptReconnect: library.acceptReconnect, ...options });

    test("a second transaction waits until the first has committed, and reads what that has written", async () => {
      await using one = open();
      await using two = open();
      const end = await hold(one, async (tx, run) => {
        await lock(tx, "a");
        await run("insert into written values ('a')");
      });
      const seen: unknown[] = [];

      const second = two.plain(async (run, tx) => {
        await lock(tx, "a");
        seen.push(...(await run("select what from written")));
      });
      await until("the second waits", async () => (await waitersOf(sql, "a")).length === 1);
      const before = [...seen];
      await end();
      await second;

      expect(before).toEqual([]);
      expect(seen).toEqual([{ what: "a" }]);
      expect(await lockedBy(sql, "a")).toEqual([]);
    });

    test("shared: beside others that share it, and not beside one that does not", async () => {
      await using one = open();
      await using two = open();
      await using three = open();
      const endOne = await hold(one, (tx) => lock(tx, "b", { shared: true }));
      const endTwo = await hold(two, (tx) => lock(tx, "b", { shared: true, waitMs: 0 }));
      const modes = await lockedBy(sql, "b");

      const refused = await takeIn(three, (tx) => lock(tx, "b", { waitMs: 0 }));
      const alone = hold(three, (tx) => lock(tx, "b"));
      const isWaiting = async () => (await waitersOf(sql, "b")).length === 1;
      await until("the one that wants it alone waits", isWaiting);
      await endOne();
      const stillWaits = await isWaiting();
      await endTwo();
      const endThree = await alone;
      const refusedToShare = await takeIn(one, (tx) => lock(tx, "b", { shared: true, waitMs: 0 }));
      await endThree();

      expect(modes).toEqual(["ShareLock", "ShareLock"]);
      expect(refused).toBeInstanceOf(WaitTimeoutError);
      expect(stillWaits).toBe(true);
      expect(refusedToShare).toBeInstanceOf(WaitTimeoutError);
    });

    test("waitMs: 0 tries once, and leaves the transaction as it was", async () => {
      await using one = open();
      await using two = open();
      const end = await hold(one, (tx) => lock(tx, "c"));
      let refused: unknown;

      await two.plain(async (run, tx) => {
        await run("insert into written values ('before')");
        refused = await lock(tx, "c", { waitMs: 0 }).catch((error: unknown) => error);
        await run("insert into written values ('after')");
      });
      await end();
      const free = await takeIn(two, (tx) => lock(tx, "c", { waitMs: 0 }));

      expect(refused).toBeInstanceOf(WaitTimeoutError);
      expect(refused).toMatchObject({ code: "wait-timeout", key: "c", waitMs: 0 });
      expect(String(refused)).toContain("This transaction is as it was before");
      expect(await sql`select what from written`).toEqual([{ what: "before" }, { what: "after" }]);
      expect(free).toBe("taken");
    });

    test("a rollback gives it back, and one to a savepoint does if the lock was taken after that", async () => {
      await using one = open();
      await using two = open();
      const locks: string[][] = [];
      const held = async () => [...(await lockedBy(sql, "outer")), ...(await lockedBy(sql, "inner"))];

      const end = await hold(one, async (tx, run) => {
        await lock(tx, "outer");
        await run("savepoint s");
        await lock(tx, "inner");
        locks.push(await held());
        await run("rollback to savepoint s");
        locks.push(await held());
      });
      const taken = await takeIn(two, (tx) => lock(tx, "inner", { waitMs: 0 }));
      const failed = await end(new Error("undo")).catch((error: unknown) => error);

      expect(locks).toEqual([["ExclusiveLock", "ExclusiveLock"], ["ExclusiveLock"]]);
      expect(taken).toBe("taken");
      expect(failed).toMatchObject({ message: "undo" });
      expect(await held()).toEqual([]);
    });

    test("after waitMs it gives up, and says that the transaction is aborted; a savepoint saves it", async () => {
      await using one = open();
      await using two = open();
      const end = await hold(one, (tx) => lock(tx, "d"));
      const seen: unknown[] = [];

      await two
        .plain(async (run, tx) => {
          await run("set local lock_timeout = '7s'");
          await run("savepoint s");
          seen.push(await lock(tx, "d", { waitMs: 50 }).catch((error: unknown) => error));
          seen.push(await run("select 1").catch((error: unknown) => error));
          await run("rollback to savepoint s");
          seen.push(await run("select current_setting('lock_timeout') as was"));
        })
        .catch(() => undefined); // postgres.js throws at the end what was caught before
      await end();

      const [refused, next, timeout] = seen;
      expect(refused).toBeInstanceOf(WaitTimeoutError);
      expect(refused).toMatchObject({ key: "d", waitMs: 50, holder: null, cause: expect.any(Error) });
      expect(String(refused)).toContain("aborted this transaction");
      expect(findSqlState(next, ["25P02"])).toBe("25P02");
      expect(timeout).toEqual([{ was: "7s" }]);
      expect(await takeIn(two, (tx) => lock(tx, "d"))).toBe("taken");
    });

    test.for([
      ["its own, which is local", "7s", "7s"],
      ["the session's", null, "9s"],
      ["none", "0", "0"],
    ] as const)("the lock_timeout is as it was afterwards: %s", async ([, local, expected]) => {
      const role = await createRole(database, { settings: { lock_timeout: "9s" } });
      await using opened = open(role.url);
      const read = "select current_setting('lock_timeout') as is";
      const seen: unknown[] = [];

      await opened.plain(async (run, tx) => {
        if (local !== null) await run(`set local lock_timeout = '${local}'`);
        for (const waitMs of [0, 1_234, Number.POSITIVE_INFINITY, undefined]) {
          await lock(tx, "e", { waitMs });
          seen.push(...(await run(read)));
        }
      });
      const after = await opened.plain((run) => run(read));

      expect(seen).toEqual(Array(4).fill({ is: expected }));
      expect(after).toEqual([{ is: "9s" }]);
    });

    test.for([60_000, Number.POSITIVE_INFINITY])("waitMs: %d outlasts a lower lock_timeout", async (waitMs) => {
      await using one = open();
      await using two = open();
      const end = await hold(one, (tx) => lock(tx, "f"));

      const outcome = takeIn(two, async (tx, run) => {
        await run("set local lock_timeout = '50ms'");
        await lock(tx, "f", { waitMs });
      });
      const hasWaited = until("it has waited for longer", async () => (await waitersOf(sql, "f", 200)).length === 1);
      await Promise.race([hasWaited, outcome]);
      await end();
      await hasWaited.catch(() => undefined);

      expect(await outcome).toBe("taken");
    });

    test("without waitMs the transaction's own lock_timeout decides", async () => {
      await using one = open();
      await using two = open();
      const end = await hold(one, (tx) => lock(tx, "g"));

      const refused = await takeIn(two, async (tx, run) => {
        await run("set local lock_timeout = '50ms'");
        await lock(tx, "g");
      });
      await end();

      expect(refused).toBeInstanceOf(WaitTimeoutError);
      expect((refused as WaitTimeoutError).waitMs).toBeGreaterThan(0);
    });

    test.for(["repeatable read", "serializable"])(
      "a transaction that is %s is refused, and stays usable",
      async (level) => {
        await using opened = open();
        let refused: unknown;
        const seen: unknown[] = [];

        await opened.plain(async (run, tx) => {
          await run(`set transaction isolation level ${level}`);
          refused = await lock(tx, "h").catch((error: unknown) => error);
          seen.push(await lockedBy(sql, "h"), await run("select 1 as one"));
        });

        expect(refused).toBeInstanceOf(InvalidOptionError);
        expect(refused).toMatchObject({ option: "tx", received: `"${level}" (string)` });
        expect(String(refused)).toContain(`this transaction is ${level}`);
        expect(seen).toEqual([[], [{ one: 1 }]]);
      },
    );

    test("read uncommitted is read committed for Postgres, and a read only transaction may lock", async () => {
      await using opened = open();
      let modes: unknown;

      await opened.plain(async (run, tx) => {
        await run("set transaction isolation level read uncommitted, read only");
        await lock(tx, "i", { waitMs: 1_000 });
        modes = await lockedBy(sql, "i");
      });

      expect(modes).toEqual(["ExclusiveLock"]);
    });

    test("outside of a transaction it is refused at once, also while another has the lock", async () => {
      await using one = open();
      await using two = open();
      const end = await hold(one, (tx) => lock(tx, "j"));
      const attempts: Promise<unknown>[] = [];

      for (const waitMs of [0, 60_000, undefined]) {
        let isSettled = false;
        const attempt = lock(two.db as never, "j", { waitMs }).catch((error: unknown) => error);
        attempts.push(attempt.finally(() => (isSettled = true)));
        // without this a wait, which would be wrong, would be for ever
        await until("it has an answer, or waits", async () => isSettled || (await waitersOf(sql, "j")).length > 0);
      }
      const inTime = (await waitersOf(sql, "j")).length === 0;
      await end();
      const refused = await Promise.all(attempts);

      expect(inTime).toBe(true);
      expect(refused).toEqual(Array(3).fill(expect.any(InvalidOptionError)));
      for (const error of refused) expect(String(error)).toContain("no transaction is open there");
      expect(await lockedBy(sql, "j")).toEqual([]);
      expect(await two.plain((run) => run("select 1 as one"))).toEqual([{ one: 1 }]);
    });

    test("several in one transaction, at once and one again", async () => {
      await using opened = open();
      const keys = ["k", "l", "m", "k"];
      let modes: unknown;

      await opened.plain(async (_, tx) => {
        await Promise.all(keys.map((key) => lock(tx, key)));
        modes = await Promise.all(["k", "l", "m"].map((key) => lockedBy(sql, key)));
      });

      expect(modes).toEqual(Array(3).fill(["ExclusiveLock"]));
    });

    test("a key of any characters, of which the library takes none for a parameter", async () => {
      await using opened = open();
      const key = `it's ? :name $1 @p \\? "x" \\ é \u{1f512}`;

      const modes = await opened.plain(async (_, tx) => {
        await lock(tx, key);
        return await lockedBy(sql, key);
      });

      expect(modes).toEqual(["ExclusiveLock"]);
    });

    test("through a transaction pooler", async ({ skip }) => {
      await using pgbouncer = await startPgBouncer(database.url);
      if (!pgbouncer) return skip("PgBouncer is not installed");
      await using pooled = open(pgbouncer.url(database.url));
      await using direct = open();

      const end = await hold(pooled, (tx) => lock(tx, "n", { waitMs: 1_000 }));
      const refused = await takeIn(direct, (tx) => lock(tx, "n", { waitMs: 0 }));
      await end();
      const outside = await lock(pooled.db as never, "n").catch((error: unknown) => error);

      expect(refused).toBeInstanceOf(WaitTimeoutError);
      expect(outside).toBeInstanceOf(InvalidOptionError);
      expect(await lockedBy(sql, "n")).toEqual([]);
    });
  });
}
