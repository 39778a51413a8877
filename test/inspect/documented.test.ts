// What docs/reference/inspection.md shows of the views, with the same play behind it.
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { type Console, findPsql, Psql, StandIn } from "../sql-api/psql.js";
import { plain, readTranscript } from "../sql-api/transcript.js";
import { openClient } from "../support/client.js";
import { createDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const psql = await findPsql();
const ways: readonly (readonly [string, (url: string) => Promise<Console>])[] = [
  ["over a connection in its place", (url) => StandIn.open(url)],
  ...(psql === undefined ? [] : [["by psql itself", async (url: string) => new Psql(psql, url)] as const]),
];

test.each(["docs/reference/inspection.md"].flatMap((page) => ways.map(([way, open]) => [page, way, open] as const)))(
  "%s shows what the views show, %s",
  async (page, _, open) => {
    const text = await readFile(new URL(`../../${page}`, import.meta.url), "utf8");
    const transcript = readTranscript(text, "console");
    expect(transcript.length).toBeGreaterThan(0);
    const database = await createDatabase();
    const { sql } = database;
    const monitoring = await createRole(database, { label: "grafana" });
    await sql`select leasehold.grant_monitoring(${monitoring.name})`;
    await using first = openLocker(database, { owner: "api-1:2211" });
    await using second = openLocker(database, { owner: "api-2:2204" });
    await using cron = openLocker(database, { owner: "cron:815" });
    const lock = await first.acquire("order:42");
    await second.acquire("order:43");
    await cron.acquire("report:daily", { metadata: { day: "2026-11-20" } });
    const end = new AbortController();
    const stand = async (locker: typeof first, key: string) => {
      const before = (await sql`select from leasehold.waiters`).length;
      locker.acquire(key, { signal: end.signal }).catch(() => undefined);
      await until("it waits", async () => (await sql`select from leasehold.waiters`).length > before);
    };
    await stand(first, "order:43");
    await stand(second, "order:42");
    await stand(cron, "order:42");
    const writer = await openClient(database.url);

    await lock.transaction(writer, async () => {
      const console = await open(monitoring.url);
      for (const { input, output } of transcript) {
        expect(masked(await console.type(input)), input).toEqual(masked(output));
      }
      await console.end();
    });

    end.abort();
    await writer.end();
  },
);

/** Without durations and what the system numbers: processes, the parts of an address. */
function masked(output: string): string[] {
  return plain(output).map((line) =>
    line.replaceAll(/\b\d\d:\d\d:\d\d(\.\d+)?/g, "<duration>").replaceAll(/(?<!:)\b\d{3,}\b/g, "<number>"),
  );
}
