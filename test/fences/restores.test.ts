// Fences rise over whatever is done to the database, the server and the cluster; and what is left to bump_epoch() is what it mends.
import { execFile } from "node:child_process";
import { rename, rm } from "node:fs/promises";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { changeUrl } from "../support/client.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { createFrom } from "../support/create-database.js";
import { migrate } from "../support/migrate.js";
import { serverUser } from "../support/server-binaries.js";
import { type Dumper, findPrograms, inside, replay } from "./dumps.js";

const programs = await findPrograms();
if (programs === undefined) {
  console.warn(
    "[tests] !!! NO Postgres with pg_dump AND pg_restore: restores are tried WITHOUT them. Debian: postgresql",
  );
}

/** Grants so many keys, each for the first time, and gives the fence of the last. */
async function grant(url: string, times = 1): Promise<bigint> {
  return inside(url, async (sql) => {
    let fence = 0n;
    for (let turn = 0; turn < times; turn += 1) {
      const [row] = await sql`select fence from leasehold.try_acquire(gen_random_uuid()::text, '1 s')`;
      expect(BigInt(row?.fence)).toBeGreaterThan(fence);
      fence = BigInt(row?.fence);
    }
    return fence;
  });
}

async function replaceDatabase(cluster: Cluster, name: string, template = "template0"): Promise<void> {
  await inside(cluster.url, (sql) => sql.unsafe(`drop database if exists "${name}" with (force)`));
  await createFrom(cluster.url, name, template);
}

async function migrateAnew(url: string): Promise<void> {
  await inside(url, (sql) =>
    sql.unsafe("set client_min_messages = error; drop schema leasehold, leasehold_internal cascade"),
  );
  await migrate(url);
}

const bump = (url: string, above: bigint | null = null) =>
  inside(url, async (sql) =>
    BigInt((await sql`select leasehold.bump_epoch(${above === null ? null : String(above)}::bigint)`)[0]?.bump_epoch),
  );

async function start(
  dumper: Dumper,
  ownIdentity = false,
): Promise<{ cluster: Cluster; url: string } & AsyncDisposable> {
  const cluster = await startCluster({ ...(dumper.binaries && { binaries: dumper.binaries }), ownIdentity });
  const url = changeUrl(cluster.url, { database: "app" });
  await createFrom(cluster.url, "app", "template0");
  await migrate(url);
  return { cluster, url, [Symbol.asyncDispose]: () => cluster.destroy() };
}

describe.each([replay, ...(programs === undefined ? [] : [programs])])("$name", (dumper) => {
  test("over restores into the same cluster: in place, again from the same dump, dropped before, data only, elsewhere", async () => {
    await using server = await start(dumper);
    const { cluster, url } = server;
    let last = await grant(url, 3);
    const dump = await dumper.dump(url);
    last = await grant(url, 30);

    const rises = async (where: string) => {
      const next = await grant(where);
      expect(next).toBeGreaterThan(last);
      last = await grant(where, 30);
    };
    await dump.restore(url, "in place");
    await rises(url);
    await dump.restore(url, "in one transaction");
    await rises(url);
    await replaceDatabase(cluster, "app");
    await dump.restore(url, "fresh");
    await rises(url);
    await dump.restore(url, "data only");
    await rises(url);
    const other = changeUrl(url, { database: "other" });
    await replaceDatabase(cluster, "other");
    await dump.restore(other, "fresh");
    await rises(other);
    await migrateAnew(other);
    await rises(other);
  });

  test("over recovery to an earlier point, a dump from before that, and a standby that lagged", async () => {
    await using server = await start(dumper);
    const { cluster, url } = server;
    const before = await dumper.dump(url);
    await using recovered = await cluster.createStandby({
      settings: { recovery_target_name: "earlier", recovery_target_action: "promote" },
    });
    const at = changeUrl(recovered.url, { database: "app" });
    await inside(cluster.url, (sql) => sql`select pg_create_restore_point('earlier')`);
    let last = await grant(url, 50);
    await inside(recovered.url, async (sql) => {
      while ((await sql`select pg_is_in_recovery() as recovering`)[0]?.recovering) await sql`select pg_sleep(0.02)`;
    });
    expect(await grant(at)).toBeGreaterThan(last);
    last = await grant(at, 20);

    await before.restore(at, "in place");
    expect(await grant(at)).toBeGreaterThan(last);

    await using standby = await recovered.createStandby({ settings: {} });
    const promoted = changeUrl(standby.url, { database: "app" });
    await standby.caughtUp();
    await standby.stopReceiving();
    last = await grant(at, 50);
    await recovered.stop("immediate");
    await standby.promote();
    expect(await grant(promoted)).toBeGreaterThan(last);
  });

  test("over a move to another cluster, and once more; schemas that are made anew there need the epoch raised", async () => {
    await using server = await start(dumper);
    await using elsewhere = await start(dumper, true);
    let last = await grant(server.url, 200);
    const dump = await dumper.dump(server.url);
    await replaceDatabase(elsewhere.cluster, "app");

    await dump.restore(elsewhere.url, "fresh");
    expect(await grant(elsewhere.url)).toBeGreaterThan(last);
    last = await grant(elsewhere.url, 20);
    await dump.restore(elsewhere.url, "in place");
    expect(await grant(elsewhere.url)).toBeGreaterThan(last);
    last = await grant(elsewhere.url, 20);

    await migrateAnew(elsewhere.url);
    expect(await grant(elsewhere.url)).toBeLessThan(last);
    await bump(elsewhere.url, last);
    expect(await grant(elsewhere.url)).toBeGreaterThan(last);
  });

  test("a dump from before a bump, restored in the same cluster, needs it again", async () => {
    await using server = await start(dumper);
    const dump = await dumper.dump(server.url);
    await bump(server.url);
    const last = await grant(server.url);
    await dump.restore(server.url, "in place");
    expect(await grant(server.url)).toBeLessThan(last);
    await bump(server.url, last);
    expect(await grant(server.url)).toBeGreaterThan(last);
  });
});

test("over copies of a database that take its place: from a template, and again from the same one", async () => {
  await using server = await start(replay);
  const { cluster, url } = server;
  await grant(url, 30);
  await createFrom(cluster.url, "copy", "app");
  for (let turn = 0; turn < 2; turn += 1) {
    const last = await grant(url, 30);
    await replaceDatabase(cluster, "app", "copy");
    expect(await grant(url)).toBeGreaterThan(last);
  }
});

test("a whole cluster that is set back to a snapshot needs the epoch raised, for nothing in it tells", async () => {
  await using server = await start(replay);
  const { cluster, url } = server;
  const snapshot = `${cluster.dataDir}.snapshot`;
  await cluster.stop("fast");
  await promisify(execFile)("cp", ["-Rp", cluster.dataDir, snapshot], { ...serverUser(), cwd: "/" });
  await cluster.start();
  const last = await grant(url, 200);
  await cluster.stop("fast");
  await rm(cluster.dataDir, { recursive: true });
  await rename(snapshot, cluster.dataDir);
  await cluster.start();

  expect(await grant(url)).toBeLessThan(last);
  await bump(url);
  expect(await grant(url)).toBeGreaterThan(last);
});
