// The database of a round: migrated, with what records its changes, a role for the processes, a standby where the scene has one.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type postgres from "postgres";
import { changeUrl } from "../support/client.js";
import { type Cluster, type Standby, startCluster } from "../support/cluster.js";
import { migrate } from "../support/migrate.js";
import type { Settings } from "../support/settings.js";
import type { ServerTls } from "../support/transport.js";
import type { FakeClocks } from "./clocks.js";
import type { Journal } from "./journal.js";
import { allKeys, keys, openingBalance } from "./keys.js";
import type { Scene } from "./scenes.js";

const PROBE_MS = 60_000;

/** As whom processes log in; without a right beyond those that the library grants. */
export const role = { user: "campaign", password: "campaign" };

const usual: Settings = {
  track_commit_timestamp: "on",
  max_prepared_transactions: 10,
  fsync: "off", // what was given to the system is there after every crash of a round
};

export async function startPrimary(
  scene: Scene,
  tls: ServerTls | false,
  clocks: FakeClocks | undefined,
): Promise<Cluster> {
  const primary = await startCluster({
    settings: { ...usual, ...scene.settings, cluster_name: "one" },
    tls,
    ...(clocks ? { environment: await clocks.environment("server") } : {}),
    ...(scene.diskMb ? { diskMb: scene.diskMb } : {}),
  });
  try {
    await prepare(primary);
    return primary;
  } catch (error) {
    await primary.destroy();
    throw error;
  }
}

async function prepare(primary: Cluster): Promise<void> {
  await migrate(primary.url);
  const sql = await primary.sql();
  // from the project's root: sources may run compiled, in another folder
  await sql.unsafe(await readFile(join(process.cwd(), "test/campaign/record.sql"), "utf8"));
  await sql.unsafe(`create role ${role.user} login password '${role.password}'`);
  await sql`select leasehold.grant_usage(${role.user}), leasehold.grant_admin(${role.user})`;
  await sql.unsafe(`grant usage on schema campaign to ${role.user}`);
  await sql.unsafe(`grant select, insert on campaign.writes to ${role.user}`);
  await sql.unsafe(`grant select, update on campaign.accounts to ${role.user}`);
  for (const key of keys.accounts) {
    await sql`insert into campaign.accounts values (${key}, ${openingBalance}::int, ${openingBalance}::int)`;
  }
}

export async function addStandby(primary: Cluster, isSynchronous: boolean): Promise<Standby> {
  const standby = await primary.createStandby({ settings: { ...usual, cluster_name: "two" } });
  try {
    await standby.caughtUp();
    if (isSynchronous) {
      const sql = await primary.sql();
      await sql`alter system set synchronous_standby_names = 'standby'`;
      await sql`select pg_reload_conf()`;
    }
    return standby;
  } catch (error) {
    await standby.destroy();
    throw error;
  }
}

/** The address of the database by way of another port, as the role of the processes. */
export function addressFor(url: string, applicationName: string, hasTls: boolean): string {
  const parameters = { ...(hasTls ? { sslmode: "require" } : {}), application_name: applicationName };
  return changeUrl(url, { ...role, parameters });
}

/** Waits until the processes' connections are gone, for some seconds. */
export async function connectionsGone(sql: postgres.Sql): Promise<void> {
  for (let n = 0; n < 100; n += 1) {
    const [row] = await sql`select count(*)::int as count from pg_stat_activity where usename = ${role.user}`;
    if (row?.count === 0) return;
    await sleep(50);
  }
}

/** Whether every key can be had again, and after how long. */
export async function probe(sql: postgres.Sql, journal: Journal): Promise<void> {
  await Promise.all(
    allKeys(keys).map(async (key) => {
      const start = performance.now();
      for (;;) {
        const answer = await ask(sql, key);
        const ms = Math.round(performance.now() - start);
        if (answer === null) return journal.write({ e: "probe", key, ms });
        if (ms > PROBE_MS) return journal.write({ e: "probe", key, ms: null, why: answer });
        await sleep(200);
      }
    }),
  );
}

/** Null: it was granted, and is released. Else why not. */
async function ask(sql: postgres.Sql, key: string): Promise<string | null> {
  try {
    const [row] = await sql`select acquired, token, holder from leasehold.try_acquire(${key}, owner => 'probe')`;
    if (!row?.acquired) return `it is held by ${row?.holder}`;
    await sql`select leasehold.release(${key}, ${row.token})`;
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
