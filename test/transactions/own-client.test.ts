// lock.transaction on the very client that the locker was made with.
import postgres from "postgres";
import { expect, test } from "vitest";
import { StaleFenceError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";

const database = await createDatabase();
await database.sql`create table written (what text not null)`;

/** One connection: what waits for a second one while a transaction is open would wait for ever. */
function openClient(): postgres.Sql & AsyncDisposable {
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  return Object.assign(sql, { [Symbol.asyncDispose]: () => sql.end({ timeout: 5 }) });
}

test("the body is given a transaction of that client", async () => {
  await using sql = openClient();
  await using locker = openLocker(database, { client: sql });

  const value = await locker.withLock("a", (lock) =>
    lock.transaction(sql, async (tx) => {
      await tx`insert into written values ('one')`;
      const [row] = await tx`select leasehold.is_guarded('a') as guarded`;
      return row?.guarded;
    }),
  );

  expect(value).toBe(true);
  expect(await sql`select what from written`).toEqual([{ what: "one" }]);
});

test("who holds the key instead is asked on another connection", async () => {
  await using sql = openClient();
  await using locker = openLocker(database, { client: sql });
  await using other = openLocker(database, { owner: "the other" });
  const lock = await locker.acquire("b", { keepAlive: false });
  await other.forceRelease("b", { immediate: true });
  await other.acquire("b");

  const refused: unknown = await lock.transaction(sql, () => "ran").catch((error: unknown) => error);

  expect(refused).toBeInstanceOf(StaleFenceError);
  expect(refused).toMatchObject({ holder: { owner: "the other" } });
});

test("queries that the body returns in an array run in the transaction, before its commit", async () => {
  await using sql = openClient();
  await using locker = openLocker(database, { client: sql, presence: "off" });
  await using lock = await locker.acquire("c");

  const [[first], [second]] = await lock.transaction(sql, (tx) => [
    tx<{ guarded: boolean }[]>`select leasehold.is_guarded('c') as guarded`,
    tx<{ xid: string }[]>`select pg_current_xact_id_if_assigned()::text as xid`,
  ]);

  expect(first?.guarded).toBe(true);
  expect(second?.xid).toMatch(/^\d+$/);
});

test("the first statement that failed is the one that is told of, as postgres.js does", async () => {
  await using sql = openClient();
  await using locker = openLocker(database, { client: sql });
  await using lock = await locker.acquire("d");

  const failed = lock.transaction(sql, async (tx) => {
    await tx`select 1 / 0`.catch(() => undefined);
    await tx`select 1`;
  });

  await expect(failed).rejects.toMatchObject({ code: "22012" });
});
