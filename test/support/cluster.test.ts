import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openClient } from "./client.js";
import { startCluster } from "./cluster.js";
import { systemBinaries } from "./server-binaries.js";

test("a cluster survives a crash, and nothing of it is left when it is destroyed", async () => {
  const cluster = await startCluster({ settings: { max_connections: 30 } });
  const sql = await cluster.sql();
  await sql`create table t as select 1 as n`;
  expect(await sql`show max_connections`).toMatchObject([{ max_connections: "30" }]);
  const { pid, port } = cluster;
  await cluster.stop("immediate");
  expect(cluster.pid).toBeUndefined();
  await cluster.start();
  expect(cluster.port).toBe(port);
  expect(cluster.pid).not.toBe(pid);
  const later = await openClient(cluster.url);
  expect(await later`select n from t`).toMatchObject([{ n: 1 }]);
  await later.end();
  expect(cluster.log).toContain("was not properly shut down");
  await cluster.destroy();
  expect(existsSync(cluster.dataDir)).toBe(false);
});

test.runIf(process.platform === "linux")("nothing is left of a cluster whose server was killed", async () => {
  const segments = async () => await readFile("/proc/sysvipc/shm", "utf8");
  const cluster = await startCluster();
  const [shared] = await (await cluster.sql())`show dynamic_shared_memory_type`;
  const pidFile = await readFile(join(cluster.dataDir, "postmaster.pid"), "utf8");
  const [pid = 0, key, segment] = [pidFile.split("\n")[0], ...(pidFile.split("\n")[6]?.trim().split(/\s+/) ?? [])].map(
    Number,
  );
  const row = new RegExp(`^ +${key} +${segment} `, "m");
  expect(await segments()).toMatch(row);
  process.kill(pid, "SIGKILL");
  await cluster.destroy();

  expect(await segments()).not.toMatch(row);
  expect(shared?.dynamic_shared_memory_type).toBe("mmap"); // its memory of the other kind was in its folder
});

test("a standby follows, lags when told to, and is promoted to a new timeline", async () => {
  await using primary = await startCluster();
  const sql = await primary.sql();
  await sql`create table t (n int)`;
  await using standby = await primary.createStandby();
  await sql`insert into t values (1)`;
  await standby.caughtUp();
  await standby.stopReceiving();
  await sql`insert into t values (2)`;
  await standby.promote();
  const promoted = await standby.sql();
  expect(await promoted`select n from t`).toMatchObject([{ n: 1 }]);
  const [{ walfile } = {}] = await promoted`select pg_walfile_name(pg_current_wal_lsn()) as walfile`;
  expect(walfile).toMatch(/^00000002/);
});

test("a cluster has the identity of the template, or one of its own", async () => {
  const identify = async (options?: Parameters<typeof startCluster>[0]) => {
    await using cluster = await startCluster(options);
    const [row] = await (await cluster.sql())`select system_identifier::text as id from pg_control_system()`;
    return row?.id;
  };
  const usual = await identify();
  expect(await identify()).toBe(usual);
  expect(await identify({ ownIdentity: true })).not.toBe(usual);
});

test("a cluster of the system's own Postgres", async ({ skip }) => {
  const binaries = await systemBinaries();
  if (!binaries) return skip("no Postgres is installed on this system");
  await using cluster = await startCluster({ binaries });
  expect(await (await cluster.sql())`select 1 as n`).toMatchObject([{ n: 1 }]);
});
