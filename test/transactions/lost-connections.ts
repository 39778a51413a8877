// A connection that is lost while the body runs: nothing of the transaction is kept, and nothing that the body still sends
// gets through on another connection, where no guard stands.
import { beforeEach, describe, expect, test } from "vitest";
import type { TestDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";
import type { Library, Run } from "./library.js";

/** Declares the tests. The database needs the table `written`. */
export function testLostConnections(libraries: readonly Library[], database: TestDatabase): void {
  const { sql } = database;
  const written = async () => (await sql`select what from written`).map(({ what }) => what);

  beforeEach(async () => {
    await sql`truncate written`;
  });

  describe.each(libraries)("$name", (library) => {
    test("between two statements: the next one fails, whatever the pool does meanwhile", async () => {
      await using locker = openLocker(database);
      await using opened = library.open(database.url);
      await using lock = await locker.acquire("a");
      const isPool = library.name !== "a client of node-postgres";
      let late: unknown;

      const failed = opened.guarded(lock, async (run) => {
        await run("insert into written values ('before')");
        await endConnection(database, run);
        // another use of the same pool brings a new connection to where the old one was
        if (isPool) {
          for (let turn = 0; turn < 3; turn += 1)
            await opened.plain((other) => other("select 1")).catch(() => undefined);
        }
        late = await run("insert into written values ('late')").catch((error: unknown) => error);
        throw late;
      });

      expect(await failed.catch((error: unknown) => error)).toBe(late);
      expect(late).toBeInstanceOf(Error);
      expect(await written()).toEqual([]);
      if (isPool) expect(await opened.plain((run) => run("select 1 as one"))).toEqual([{ one: 1 }]);
      else await opened.plain((run) => run("select 1")).catch(() => undefined);
    });

    test("during a statement: its error is the body's, and the pool goes on", async () => {
      await using locker = openLocker(database);
      await using opened = library.open(database.url);
      await using lock = await locker.acquire("b");
      let own: unknown;

      const failed = opened.guarded(lock, async (run) => {
        await run("insert into written values ('before')");
        own = await run("select pg_terminate_backend(pg_backend_pid())").catch((error: unknown) => error);
        await run("insert into written values ('late')").catch(() => undefined);
        throw own;
      });

      expect(await failed.catch((error: unknown) => error)).toBe(own);
      expect(await written()).toEqual([]);
    });

    test("a body that swallows it does not get away with it", async () => {
      await using locker = openLocker(database);
      await using opened = library.open(database.url);
      await using lock = await locker.acquire("c");

      const failed = opened.guarded(lock, async (run) => {
        await run("insert into written values ('before')");
        await run("select pg_terminate_backend(pg_backend_pid())").catch(() => undefined);
        return "fine";
      });

      await expect(failed).rejects.toBeInstanceOf(Error);
      expect(await written()).toEqual([]);
    });
  });
}

/** Ends the backend of this transaction, and waits until it is gone. */
export async function endConnection({ sql }: TestDatabase, run: Run): Promise<void> {
  const [row] = await run("select pg_backend_pid() as pid");
  const pid = Number(row?.pid);
  await sql`select pg_terminate_backend(${pid})`;
  await until("the backend is gone", async () => {
    const [gone] = await sql`select not exists (select from pg_stat_activity where pid = ${pid}) as gone`;
    return gone?.gone as boolean;
  });
}
