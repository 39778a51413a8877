// A dump restored without its privileges: every function is open to everybody, and what was granted is gone.
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { migrateDatabase } from "../../src/postgres/schema/migrate.js";
import { connectTo } from "../migrate/connection.js";
import { changeUrl, openClient } from "../support/client.js";
import { startCluster } from "../support/cluster.js";
import { systemBinaries } from "../support/server-binaries.js";

const binaries = await systemBinaries();
const run = promisify(execFile);

test.for(["grant_usage", "migrate"])("%s closes what pg_restore --no-acl has opened", async (by, { skip }) => {
  if (!binaries) return skip("no Postgres is installed on this system: pg_dump is missing");
  await using cluster = await startCluster({ binaries });
  const admin = await cluster.sql();
  const folder = await mkdtemp(join(tmpdir(), "leasehold-dump-"));
  for (const role of ["owner", "heir", "app", "bare"])
    await admin.unsafe(`create role ${role} login password 'secret' createdb`);
  const urlOf = (database: string, user: string) => changeUrl(cluster.url, { database, user, password: "secret" });
  const dump = join(folder, "dump");
  await admin.unsafe("create database dumped owner owner");
  await migrateDatabase(connectTo(urlOf("dumped", "owner")), { grantTo: "app" });
  await admin.unsafe("create database restored owner heir");
  const programs = dirname(binaries.postgres);
  await run(join(programs, "pg_dump"), ["-Fc", "-f", dump, "-d", urlOf("dumped", "owner")]);
  await run(join(programs, "pg_restore"), ["--no-owner", "--no-acl", "-d", urlOf("restored", "heir"), dump]);
  await rm(folder, { recursive: true });

  const heir = await openClient(urlOf("restored", "heir"));
  const open = async () => {
    const rows = await heir`
      select p.oid::regprocedure::text as name from pg_proc p
       where p.pronamespace::regnamespace::text like 'leasehold%' and has_function_privilege('bare', p.oid, 'execute')
      union all
      select t.oid::regtype::text from pg_type t
       where t.typnamespace::regnamespace::text like 'leasehold%' and t.typcategory <> 'A' and has_type_privilege('bare', t.oid, 'usage')`;
    return rows.length;
  };
  expect(await open()).toBeGreaterThan(80);

  if (by === "migrate") {
    await migrateDatabase(connectTo(urlOf("restored", "heir")));
    expect(await open()).toBe(0);
    await migrateDatabase(connectTo(urlOf("restored", "heir")), { grantTo: "app" });
  } else await heir`select leasehold.grant_usage('app')`;

  expect(await open()).toBe(0);
  const app = await openClient(urlOf("restored", "app"));
  expect(await app`select acquired from leasehold.try_acquire('a')`).toEqual([{ acquired: true }]);
  for (const statement of [
    "select leasehold.force_release('a')",
    "select leasehold.bump_epoch()",
    "select leasehold.grant_usage('bare')",
  ]) {
    await expect(app.unsafe(statement), statement).rejects.toMatchObject({ code: "42501" });
  }
  await app.end();
  await heir.end();
});
