import { existsSync } from "node:fs";
import { expect, test } from "vitest";
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
  expect(await (await cluster.sql())`select n from t`).toMatchObject([{ n: 1 }]);
  expect(cluster.log).toContain("was not properly shut down");
  await cluster.destroy();
  expect(existsSync(cluster.dataDir)).toBe(false);
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
