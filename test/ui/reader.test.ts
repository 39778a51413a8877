// The connection of the inspector: made when it is needed, and kept for no longer.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { resolveInspectorOptions } from "../../src/ui/options.js";
import { Reader } from "../../src/ui/reading/reader.js";
import { createDatabase } from "../support/database.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { target } = resolveInspectorOptions({ url: database.url });
const connections = async () =>
  (
    await database.sql`select pid from pg_stat_activity
                        where application_name = 'leasehold inspector' and datname = current_database()`
  ).map(({ pid }) => Number(pid));

test("it is made with the first question, kept while questions come, and closed when none has come for a while", async () => {
  const reader = new Reader({ target, maxRows: 10, idleMs: 500 });
  expect(await connections()).toEqual([]);
  await reader.read(true);
  const [first] = await connections();
  for (let n = 0; n < 10; n += 1) {
    await sleep(20);
    await Promise.all([reader.read(false), reader.check("a"), reader.totals()]);
  }
  expect(await connections()).toEqual([first]);
  await until("it is closed", async () => (await connections()).length === 0);
  await reader.read(false);
  expect(await connections()).toHaveLength(1);
  await reader.close();
  await until("it is closed", async () => (await connections()).length === 0);
  await expect(reader.read(false)).rejects.toMatchObject({ code: "closed" });
});

test("a connection that is lost costs one answer", async () => {
  const reader = new Reader({ target, maxRows: 10 });
  await reader.read(false);
  const [pid] = await connections();
  await database.sql`select pg_terminate_backend(${Number(pid)}::int)`;
  await until("it is gone", async () => (await connections()).length === 0);
  await reader.read(false).catch(() => undefined);
  expect((await reader.read(false)).hello.database).toBe(database.name);
  await reader.close();
});
