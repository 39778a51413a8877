// The example for Python, beside a locker that wants the same lock. It needs psycopg 3, which .ci/run installs.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { createDatabase, createRole } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { findPython } from "../support/python.js";

const run = promisify(execFile);
const example = fileURLToPath(new URL("../../examples/python/locked_counter.py", import.meta.url));

const python = await findPython();
if (python === undefined) console.warn("[tests] !!! NO python3 with psycopg: examples/python is NOT tested");

test.skipIf(python === undefined)("Python and a locker count in turn, and none of their counts is lost", async () => {
  const database = await createDatabase();
  const { sql } = database;
  const app = await createRole(database, { grantUsage: true });
  await sql.unsafe(`
    create table counters (name text primary key, value integer not null);
    insert into counters values ('visits', 0);
    grant select, update on counters to "${app.name}"`);
  const count = (times: number) =>
    run(python ?? "", [example, "visits", String(times)], { env: { ...process.env, DATABASE_URL: app.url } });

  await using locker = openLocker(database);
  const counted = Promise.all([count(10), count(10)]);
  for (let turn = 0; turn < 10; turn += 1) {
    await locker.withLock("counter:visits", async (lock) => {
      await lock.transaction(sql, async (tx) => {
        const [row] = await tx`select value from counters`;
        await tx`update counters set value = ${row?.value + 1}`;
      });
    });
  }
  await counted;

  expect(await sql`select value from counters`).toEqual([{ value: 30 }]);
  expectLeft(database, "sessions");
});
