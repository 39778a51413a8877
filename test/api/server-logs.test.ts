// What the server shows of the statements: to whoever may read pg_stat_activity, and in its log.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Locker, LockerOptions } from "../../src/index.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { tokenOf } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

let cluster: Cluster;
let database: TestDatabase;

beforeAll(async () => {
  cluster = await startCluster({ settings: { log_statement: "all", log_parameter_max_length: 0 } });
  database = await createDatabase({ on: cluster });
});

afterAll(() => cluster.destroy());

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;

/** As they are made: with presence, without it, and with an address that says that it is a pooler's. */
const ways: Readonly<Record<string, () => { url: string; options: LockerOptions }>> = {
  "with presence": () => ({ url: database.url, options: {} }),
  "without presence": () => ({ url: database.url, options: { presence: "off" } }),
  "with a pooled address": () => ({ url: `${database.url}?pgbouncer=true`, options: { directUrl: database.url } }),
};

/** The last statement of every connection. */
async function shown(): Promise<string[]> {
  const rows = await database.sql`
    select query from pg_stat_activity where datname = current_database() and application_name like 'leasehold %'`;
  return rows.map(({ query }) => query);
}

/** Makes a locker say all that it says to the server about a token; what was shown meanwhile. */
async function everyStatement(locker: Locker, other: Locker, key: string): Promise<{ tokens: string[]; seen: string }> {
  const seen: string[] = [];
  const look = async () => seen.push(...(await shown()));
  const lock = await locker.acquire(key);
  const token = await tokenOf(database.sql, key);
  await look();
  await lock.renew();
  await look();
  const controller = new AbortController();
  const waiting = other.acquire(key, { signal: controller.signal }).catch(() => undefined);
  await until("it waits", async () => (await database.sql`select from leasehold.waiters`).length > 0);
  await look();
  const [waiter] = await database.sql`select token::text as token from leasehold.waiters`;
  controller.abort();
  await waiting;
  await until("it has left", async () => (await database.sql`select from leasehold.waiters`).length === 0);
  await look();
  await locker.check(key);
  await lock.release();
  await look();
  return { tokens: [token, waiter?.token], seen: seen.join("\n") };
}

test.each(Object.keys(ways))("no token is in pg_stat_activity, nor in the log of every statement (%s)", async (way) => {
  const { url, options } = ways[way]?.() ?? { url: "", options: {} };
  await using locker = openLocker(url, options);
  await using other = openLocker(url, options);
  const { tokens, seen } = await everyStatement(locker, other, `shown ${way}`);

  const { log } = cluster;
  for (const statement of ["acquire_one", "renew", "abandon", "release"]) {
    expect(seen + log).toContain(`leasehold_internal.${statement}(`);
  }
  expect(tokens.every((token) => uuid.test(token))).toBe(true);
  for (const token of tokens) expect(seen + log).not.toContain(token);
  expect(seen).not.toMatch(uuid);
});

test.each(Object.keys(ways))("no token is in the log of a statement that failed (%s)", async (way) => {
  const { url, options } = ways[way]?.() ?? { url: "", options: {} };
  await using locker = openLocker(url, options);
  const lock = await locker.acquire(`failed ${way}`);
  const token = await tokenOf(database.sql, `failed ${way}`);
  await database.sql.unsafe("alter function leasehold_internal.release rename to hidden");
  try {
    await expect(lock.release()).rejects.toMatchObject({ code: "not-migrated" });
  } finally {
    await database.sql.unsafe("alter function leasehold_internal.hidden rename to release");
  }

  // its text is, with the numbers of its parameters
  const failed = /ERROR: .* does not exist[\s\S]*STATEMENT: [\s\S]*leasehold_internal\.release\(true, \$1/;
  await until("it is in the log", () => failed.test(cluster.log.slice(cluster.log.lastIndexOf("rename to hidden"))));
  expect(cluster.log).not.toContain(token);
});
