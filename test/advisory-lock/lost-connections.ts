// The connection is lost during the wait, in a transaction that lock.transaction has opened: one of the library's own would end the process
// over some of them.
import { describe, expect, test } from "vitest";
import { advisoryLock, InvalidOptionError, WaitTimeoutError } from "../../src/index.js";
import type { TestDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";
import type { Library } from "../transactions/library.js";
import { hold, lockedBy, waitersOf } from "./looking.js";

/** Declares the tests. */
export function testLostWaits(libraries: readonly Library[], database: TestDatabase): void {
  const { sql } = database;

  describe.each(libraries)("$name", (library) => {
    test("a connection that is lost during the wait: the error is the library's own, and nobody has the lock", async () => {
      await using locker = openLocker(database);
      await using one = library.open(database.url);
      await using two = library.open(database.url);
      await using lease = await locker.acquire("lease");
      const { acceptReconnect } = library;
      const end = await hold(one, (tx) => advisoryLock(tx, "a", { acceptReconnect }));
      let failure: unknown;

      const waiting = two
        .guarded(lease, async (_, tx) => {
          await advisoryLock(tx, "a", { waitMs: 60_000 }).catch((error: unknown) => {
            failure = error;
            throw error;
          });
        })
        .catch(() => undefined);
      const pid = await until("it waits", async () => (await waitersOf(sql, "a"))[0]);
      await sql`select pg_terminate_backend(${pid})`;
      await waiting;
      await end();

      expect(failure).toBeInstanceOf(Error);
      for (const ours of [WaitTimeoutError, InvalidOptionError]) expect(failure).not.toBeInstanceOf(ours);
      await until("nobody has it", async () => (await lockedBy(sql, "a")).length === 0);
    });
  });
}
