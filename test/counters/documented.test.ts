// What docs/reference/inspection.md shows of the counters, with the same play behind it.
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { type Console, findPsql, Psql, StandIn } from "../sql-api/psql.js";
import { plain, readTranscript } from "../sql-api/transcript.js";
import { createDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const psql = await findPsql();
const ways: readonly (readonly [string, (url: string) => Promise<Console>])[] = [
  ["over a connection in its place", (url) => StandIn.open(url)],
  ...(psql === undefined ? [] : [["by psql itself", async (url: string) => new Psql(psql, url)] as const]),
];

test.each(ways)("the page shows what the counters show, %s", async (_, open) => {
  const text = await readFile(new URL("../../docs/reference/inspection.md", import.meta.url), "utf8");
  const transcript = readTranscript(text, "pgsql");
  expect(transcript.length).toBeGreaterThan(0);
  const database = await createDatabase();
  const { sql } = database;
  const monitoring = await createRole(database, { label: "grafana" });
  await sql`select leasehold.grant_monitoring(${monitoring.name})`;
  const api = openLocker(database);
  const cron = openLocker(database);
  for (let order = 1; order <= 5; order += 1) await api.withLock(`order:${order}`, () => undefined);
  const lock = await api.acquire("order:42");
  await cron.tryAcquire("order:42");
  await cron.tryAcquire("order:42");
  await cron.acquire("order:42", { waitMs: 50 }).catch(() => undefined);
  const waiters = async () => (await sql`select from leasehold.waiters`).length;
  await until("that one has left the queue", async () => (await waiters()) === 0);
  const waiting = cron.acquire("order:42");
  await until("it waits", async () => (await waiters()) === 1);
  await lock.release();
  await (await waiting).release();
  await cron.withLock("report:daily", () => undefined);
  await Promise.all([api.close(), cron.close()]);

  const console = await open(monitoring.url);
  for (const { input, output } of transcript) {
    const answer = await console.type(input);
    expect(masked(answer), input).toEqual(masked(output));
  }
  await console.end();
});

function masked(output: string): string[] {
  return plain(output).map((line) => line.replaceAll(/\b\d\d:\d\d:\d\d(\.\d+)?/g, "<duration>"));
}
