// guardTimeoutMs: what an abandoned transaction may hold up, and for how long.
import { expect, test } from "vitest";
import type { AcquireOptions } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { libraries } from "./libraries.js";

const database = await createDatabase();
await database.sql`create table written (what text not null)`;

const postgresJs = libraries[0] as (typeof libraries)[number]; // any will do

const settings = `select current_setting('idle_in_transaction_session_timeout') as idle, current_setting('statement_timeout') as statement`;

test.each<[string, AcquireOptions, string]>([
  ["ttlMs", { ttlMs: 20_000 }, "20s"],
  ["at least a second", { ttlMs: 500 }, "1s"],
  ["what the option says", { guardTimeoutMs: 700 }, "700ms"],
])("an open transaction is bounded by it: %s", async (_, options, limit) => {
  await using locker = openLocker(database);
  await using lock = await locker.acquire("bounded", options);
  await using opened = postgresJs.open(database.url);

  expect(await opened.guarded(lock, (run) => run(settings))).toEqual([{ idle: limit, statement: limit }]);
  expect(await opened.plain((run) => run(settings))).toEqual([{ idle: "0", statement: "0" }]);
});

test("it comes from the locker, too, and a lower limit of the user's own stays", async () => {
  await using locker = openLocker(database, { guardTimeoutMs: 3_000 });
  await using lock = await locker.acquire("lower");
  await using opened = postgresJs.open(database.url);

  const [row] = await opened.plain(async (run, tx) => {
    await run("set local statement_timeout = '2s'");
    await lock.guard(tx, { acceptReconnect: true });
    return await run(settings);
  });

  expect(row).toEqual({ idle: "3s", statement: "2s" });
});

test.each(libraries)("a transaction that nobody goes on with gives the key back after it: $name", async (library) => {
  await using locker = openLocker(database);
  await using other = openLocker(database);
  await using opened = library.open(database.url);
  const lock = await locker.acquire("abandoned", { guardTimeoutMs: 2_000 });
  let granted = false;

  const abandoned = opened.guarded(lock, async (run) => {
    await run("insert into written values ('no')");
    await lock.release();
    await other.withLock("abandoned", () => {
      granted = true;
    });
    await run("select 1");
  });

  await expect(abandoned).rejects.toBeInstanceOf(Error);
  expect(granted).toBe(true);
  expect(await database.sql`select from written`).toHaveLength(0);
});
