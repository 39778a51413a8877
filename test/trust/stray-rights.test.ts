import type postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { migrateDatabase } from "../../src/postgres/schema/migrate.js";
import { connectTo } from "../migrate/connection.js";
import { runCli } from "../support/cli.js";
import { changeUrl, openClient } from "../support/client.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { cliProgram } from "../support/compiled.js";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
  const admin = await cluster.sql();
  for (const role of ["owner", "readonly", "app", "grafana"])
    await admin.unsafe(`create role ${role} login password 'secret'`);
  await admin.unsafe("create role reader login password 'secret' in role readonly");
});

afterAll(() => cluster.destroy());

test("what default privileges give to a named role is gone once the schema is made", async () => {
  await using place = await make("named");
  for (const what of ["tables", "sequences", "functions", "types", "schemas"]) {
    await place.owner.unsafe(`alter default privileges grant all on ${what} to readonly with grant option`);
  }
  await migrateDatabase(connectTo(place.ownerUrl));

  expect(await rightsOf(place.owner, "readonly")).toEqual([]);
  await place.owner`select leasehold.try_acquire('payroll', '1 hour')`;
  for (const statement of [
    "select token from leasehold.leases",
    "select * from leasehold.active_leases",
    "select leasehold.release('payroll', gen_random_uuid())",
    "select leasehold.force_release('payroll')",
    "select leasehold.grant_usage('reader')",
    "select leasehold.bump_epoch()",
    "create table leasehold.trap ()",
  ]) {
    await expect(place.as("reader", statement), statement).rejects.toMatchObject({ code: "42501" });
  }
});

test("who may read all tables by default, and is granted monitoring, reads the views and no token", async () => {
  await using place = await make("monitored");
  await place.owner.unsafe("alter default privileges grant select on tables to grafana");
  await migrateDatabase(connectTo(place.ownerUrl));
  await place.owner`select leasehold.try_acquire('payroll', '1 hour')`;

  await place.owner`select leasehold.grant_monitoring('grafana')`;

  expect(await place.as("grafana", "select key from leasehold.active_leases")).toEqual([{ key: "payroll" }]);
  for (const table of ["leases", "waiters", "sessions"]) {
    await expect(place.as("grafana", `select from leasehold.${table}`)).rejects.toMatchObject({ code: "42501" });
  }
});

test("a function that only somebody else's view calls is not given to who may monitor", async () => {
  await using place = await make("foreign_view");
  await migrateDatabase(connectTo(place.ownerUrl));
  await place.owner`select leasehold.grant_monitoring('grafana')`;
  const before = await rightsOf(place.owner, "grafana");
  await place.owner`create schema mine`;
  await place.owner`create view mine.lock_number as select leasehold_internal._key_lock('a')`;
  await place.owner`select leasehold.grant_monitoring('grafana')`;

  expect(await rightsOf(place.owner, "grafana")).toEqual(before);
});

test.each(["grant_usage", "migrate"])(
  "%s takes back what was granted wholesale, and leaves what it had given",
  async (by) => {
    await using place = await make(`wholesale_${by}`);
    await migrateDatabase(connectTo(place.ownerUrl), { grantTo: "app" });
    await place.owner`select leasehold.grant_monitoring('grafana')`;
    const [app, grafana] = [await rightsOf(place.owner, "app"), await rightsOf(place.owner, "grafana")];
    for (const role of ["app", "grafana", "readonly", "public"]) {
      await place.owner.unsafe(`
      grant all on schema leasehold, leasehold_internal to ${role};
      grant select on all tables in schema leasehold, leasehold_internal to ${role};
      grant select (token) on leasehold.waiters to ${role};
      grant all on all sequences in schema leasehold to ${role};
      grant execute on all routines in schema leasehold, leasehold_internal to ${role};
      grant usage on type leasehold.leases to ${role}`);
    }
    // Who may pass a right on may have done so.
    await place.owner.unsafe("grant select on leasehold.leases to readonly with grant option");
    await place.as("readonly", "grant select on leasehold.leases to reader");

    if (by === "migrate") await migrateDatabase(connectTo(place.ownerUrl));
    else await place.owner`select leasehold.grant_usage('app')`;

    expect(await rightsOf(place.owner, "app")).toEqual(app);
    expect(await rightsOf(place.owner, "grafana")).toEqual(grafana);
    for (const role of ["readonly", "reader", "public"]) expect(await rightsOf(place.owner, role), role).toEqual([]);
    expect(await place.as("app", "select acquired from leasehold.try_acquire('a')")).toEqual([{ acquired: true }]);
  },
);

test("migrate() notices each right that a role it grants to lacks, and a role each that itself lacks", async () => {
  await using place = await make("lacking");
  await migrateDatabase(connectTo(place.ownerUrl), { grantTo: "app" });
  const given = await rightsOf(place.owner, "app");
  expect(given.length).toBeGreaterThan(20);
  for (const { kind, name, privilege } of given) {
    if (kind === "column") continue; // the mark: what follows from it is in the next test
    await place.owner.unsafe(`revoke ${privilege} on ${kind} ${name} from app`);
    await expect(migrateDatabase(connectTo(place.urlOf("app")), { grantTo: "app" }), name).rejects.toMatchObject({
      code: "not-permitted",
      statement: "select leasehold.grant_usage('app');",
    });
    await migrateDatabase(connectTo(place.ownerUrl), { grantTo: "app" });
    expect(await rightsOf(place.owner, "app"), name).toEqual(given);
  }
});

test("a role that is called something else now keeps its rights", async () => {
  await using place = await make("renamed");
  await place.owner.unsafe("select 1");
  const admin = await cluster.sql();
  await admin.unsafe("create role before login password 'secret'");
  await migrateDatabase(connectTo(place.ownerUrl), { grantTo: "before" });
  await admin.unsafe("alter role before rename to after");
  await migrateDatabase(connectTo(place.ownerUrl), { grantTo: "app" });
  expect(await place.as("after", "select acquired from leasehold.try_acquire('a')")).toEqual([{ acquired: true }]);
});

interface Place extends AsyncDisposable {
  readonly owner: postgres.Sql;
  readonly ownerUrl: string;
  urlOf(role: string): string;
  as(role: string, statement: string): Promise<unknown[]>;
}

/** A database in which the role `owner` may make schemas. */
async function make(name: string): Promise<Place> {
  const admin = await cluster.sql();
  await admin.unsafe(`create database ${name}`);
  await admin.unsafe(`grant create on database ${name} to owner`);
  const urlOf = (role: string) => changeUrl(cluster.url, { database: name, user: role, password: "secret" });
  const owner = await openClient(urlOf("owner"));
  return {
    owner,
    ownerUrl: urlOf("owner"),
    urlOf,
    as: async (role, statement) => {
      const sql = await openClient(urlOf(role));
      try {
        return [...(await sql.unsafe(statement))];
      } finally {
        await sql.end();
      }
    },
    [Symbol.asyncDispose]: () => owner.end(),
  };
}

/** Read from the catalog in other words than the functions under test use. */
async function rightsOf(sql: postgres.Sql, role: string): Promise<{ kind: string; name: string; privilege: string }[]> {
  const rows = await sql<{ kind: string; name: string; privilege: string }[]>`
    with acls (kind, name, acl) as (
      select 'schema', nspname::text, nspacl from pg_namespace where nspname in ('leasehold', 'leasehold_internal')
      union all
      select case relkind when 'S' then 'sequence' else 'table' end, oid::regclass::text, relacl from pg_class
       where relnamespace::regnamespace::text in ('leasehold', 'leasehold_internal') and relkind not in ('i', 'c')
      union all
      select 'column', attrelid::regclass::text || '.' || attname, attacl from pg_attribute
       where attrelid in (select oid from pg_class where relnamespace::regnamespace::text in ('leasehold', 'leasehold_internal'))
      union all
      select 'routine', oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner)) from pg_proc
       where pronamespace::regnamespace::text in ('leasehold', 'leasehold_internal')
      union all
      select 'type', oid::regtype::text, coalesce(typacl, acldefault('T', typowner)) from pg_type
       where typnamespace::regnamespace::text in ('leasehold', 'leasehold_internal') and typcategory <> 'A'
    )
    select a.kind, a.name, e.privilege_type || case when e.is_grantable then ' *' else '' end as privilege
      from acls a cross join lateral aclexplode(a.acl) e
     where e.grantee = coalesce((select oid from pg_roles where rolname = ${role}), 0)
     order by 1, 2, 3`;
  return [...rows];
}

test("doctor tells of rights that nobody granted, and who can read tokens", async () => {
  await using place = await make("doctored");
  await migrateDatabase(connectTo(place.ownerUrl), { grantTo: "app" });
  const cli = cliProgram();
  const findings = async (role: string) => {
    const { stdout } = await runCli(cli, ["doctor", "--json"], { url: place.urlOf(role) });
    const all = JSON.parse(stdout).findings as { check: string; level: string; message: string; advice: string }[];
    return Object.fromEntries(all.map((finding) => [finding.check, finding]));
  };
  for (const role of ["owner", "app"]) {
    expect(await findings(role), role).toMatchObject({ rights: { level: "ok" }, tokens: { level: "ok" } });
  }
  expect((await findings("grafana")).rights?.message).toContain("cannot be asked by this role");

  const admin = await cluster.sql();
  await place.owner.unsafe("grant execute on all routines in schema leasehold to public");
  await place.owner.unsafe("grant select on leasehold.leases to readonly; grant usage on schema leasehold to readonly");
  await admin.unsafe("create role backup; grant pg_read_all_data to backup");

  const { rights, tokens } = await findings("app");
  expect(rights).toMatchObject({ level: "problem", advice: expect.stringContaining("leasehold migrate") });
  expect(rights?.message).toMatch(/^\d+ rights were given by none of .* public: EXECUTE on routine leasehold\./);
  expect(tokens).toMatchObject({
    level: "warning",
    message: expect.stringContaining("read by: backup, reader, readonly."),
  });

  await migrateDatabase(connectTo(place.ownerUrl));
  expect(await findings("app")).toMatchObject({ rights: { level: "ok" }, tokens: { level: "warning" } });
});
