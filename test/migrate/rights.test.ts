import type postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { migrateDatabase } from "../../src/postgres/schema/migrate.js";
import { changeUrl, openClient } from "../support/client.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { connectTo } from "./connection.js";

const APP = `Mixed "Case" app's`;
let cluster: Cluster;
let admin: postgres.Sql;
let url: string;

beforeAll(async () => {
  cluster = await startCluster();
  const sql = await cluster.sql();
  await sql.unsafe("create database rights");
  url = changeUrl(cluster.url, { database: "rights" });
  admin = await openClient(url);
  await createRole(APP);
  await migrateDatabase(connectTo(url), { grantTo: APP });
});

afterAll(async () => {
  await admin.end();
  await cluster.destroy();
});

test("a role that was granted usage can call what the client calls", async () => {
  const app = await openClient(as(APP));
  expect(await app`select version, min_client from leasehold_internal.schema_info()`).toEqual([
    { version: 2, min_client: 2 },
  ]);
  const refused = await app`
    select p.oid::regprocedure::text as name from pg_proc p
    where p.pronamespace in ('leasehold'::regnamespace, 'leasehold_internal'::regnamespace) and left(p.proname, 1) <> '_'
      and not has_function_privilege(p.oid, 'execute') order by p.proname, p.pronamespace::regnamespace::text`;
  // what operators do
  expect(refused.map(({ name }) => name)).toEqual([
    "leasehold_internal.admin_force_release(text,bigint,boolean,boolean)",
    "leasehold_internal.admin_sweep(interval,integer)",
    "leasehold.bump_epoch(bigint)",
    "leasehold.grant_admin(text)",
    "leasehold.grant_monitoring(text)",
    "leasehold.grant_usage(text)",
    "leasehold.reset_fence(text)",
  ]);
  await app.end();
});

test("it can neither read nor write a table, nor use a sequence", async () => {
  const app = await openClient(as(APP));
  const relations = await admin`
    select format('%I.%I', relnamespace::regnamespace, relname) as name, relkind::text as kind from pg_class
    where relnamespace in ('leasehold'::regnamespace, 'leasehold_internal'::regnamespace) and relkind in ('r', 'v', 'm', 'S', 'p', 'f')`;
  expect(relations.length).toBeGreaterThanOrEqual(8);
  const forbidden = relations.flatMap(({ name, kind }) => {
    const read = `select * from ${name}`;
    if (kind === "S") return [`select nextval('${name}')`, `select setval('${name}', 1)`, read];
    if (kind === "v") return [read];
    return [read, `insert into ${name} default values`, `delete from ${name}`, `truncate ${name}`];
  });
  for (const statement of [
    ...forbidden,
    "update leasehold.leases set token = null",
    "select token from leasehold.leases",
    "create table leasehold.mine (n int)",
    "create function leasehold_internal.mine() returns int language sql as 'select 1'",
    `select leasehold.grant_usage('${APP.replaceAll("'", "''")}')`,
  ]) {
    await expect(app.unsafe(statement), statement).rejects.toMatchObject({ code: "42501" });
  }
  await app.end();
});

test("functions that only other functions call are nobody's but the owner's", async () => {
  await admin.unsafe("create function leasehold_internal._made_up() returns int language sql as 'select 1'");
  await admin.unsafe("revoke all on function leasehold_internal._made_up() from public");
  await admin`select leasehold.grant_usage(${APP})`;
  const app = await openClient(as(APP));
  await expect(app`select leasehold_internal._made_up()`).rejects.toMatchObject({ code: "42501" });
  const callable = await app`
    select p.oid::regprocedure::text as name from pg_proc p
    where p.pronamespace = 'leasehold_internal'::regnamespace and left(p.proname, 1) = '_'
      and has_function_privilege(p.oid, 'execute')`;
  expect([...callable]).toEqual([]);
  await app.end();
  await admin.unsafe("drop function leasehold_internal._made_up()");
});

test("without a grant a role can call nothing, and a role that was never named has no way in", async () => {
  await createRole("stranger");
  const callable = await admin`
    select p.oid::regprocedure::text as name from pg_proc p
    where p.pronamespace in ('leasehold'::regnamespace, 'leasehold_internal'::regnamespace)
      and has_function_privilege('stranger', p.oid, 'execute')`;
  expect([...callable]).toEqual([]);
  const stranger = await openClient(as("stranger"));
  await expect(stranger`select * from leasehold_internal.schema_info()`).rejects.toMatchObject({ code: "42501" });
  await stranger.end();
});

test("a function that runs with the owner's rights has a search path that nobody else can put anything into, and prints no plans", async () => {
  const open = await admin`
    select p.oid::regprocedure::text as name, p.proconfig as settings from pg_proc p
    where p.pronamespace in ('leasehold'::regnamespace, 'leasehold_internal'::regnamespace) and p.prosecdef
      and not coalesce(p.proconfig @> array['search_path=pg_catalog, pg_temp', 'debug_print_plan=off'], false)`;
  expect([...open]).toEqual([]);
});

test("what a role may call runs under a search path of its own, with whose rights ever, and evaluates nothing for the owner", async () => {
  const open = await admin`
    select p.oid::regprocedure::text as name from pg_proc p
    where p.pronamespace in ('leasehold'::regnamespace, 'leasehold_internal'::regnamespace)
      and has_function_privilege(${APP}::text, p.oid, 'execute')
      and not coalesce(p.proconfig && array['search_path=pg_catalog, pg_temp'], false)`;
  // A procedure that commits may have none: test/trust/texts.test.ts reads its body.
  expect(open.map(({ name }) => name)).toEqual([expect.stringMatching(/^leasehold\.acquire\(/)]);
  // an expression or a name of the caller's is only ever executed with the caller's rights
  const dynamic = await admin`
    select p.oid::regprocedure::text as name from pg_proc p
    where p.pronamespace in ('leasehold'::regnamespace, 'leasehold_internal'::regnamespace)
      and p.prosrc ~ '\\mexecute\\M' and p.prosecdef`;
  expect([...dynamic]).toEqual([]);
});

test("nothing is open to everybody, also where the database gives everything to everybody by default", async () => {
  await admin.unsafe("create database generous");
  const theirs = changeUrl(cluster.url, { database: "generous" });
  const sql = await openClient(theirs);
  for (const what of ["tables", "sequences", "functions", "types", "schemas"]) {
    await sql.unsafe(`alter default privileges grant all on ${what} to public`);
  }
  await migrateDatabase(connectTo(theirs));
  await createRole("passer_by");
  const allowed = await sql`
    select p.oid::regprocedure::text as name from pg_proc p
     where p.pronamespace in ('leasehold'::regnamespace, 'leasehold_internal'::regnamespace) and has_function_privilege('passer_by', p.oid, 'execute')
    union all
    select c.oid::regclass::text from pg_class c
     where c.relnamespace in ('leasehold'::regnamespace, 'leasehold_internal'::regnamespace)
       and case when c.relkind = 'S' then has_sequence_privilege('passer_by', c.oid, 'usage, select, update')
                when c.relkind in ('r', 'v') then has_table_privilege('passer_by', c.oid, 'select, insert, update, delete, truncate, references, trigger') end
    union all
    select t.oid::regtype::text from pg_type t join pg_class c on c.oid = t.typrelid
     where t.typnamespace in ('leasehold'::regnamespace, 'leasehold_internal'::regnamespace) and has_type_privilege('passer_by', t.oid, 'usage')
    union all
    select n.nspname from pg_namespace n where n.nspname like 'leasehold%' and has_schema_privilege('passer_by', n.oid, 'usage, create')`;
  expect([...allowed]).toEqual([]);
  await sql.end();
});

test.each([
  ["its exact name", "Exact Name", "Exact Name"],
  ["its name as psql takes it, folded", "FOLDED", "folded"],
  ["its name as psql takes it, quoted", '"Quoted"', "Quoted"],
  ["its exact name before the one that psql would take", "Both", "Both"],
])("grant_usage knows a role by %s", async (_, given, name) => {
  await createRole(name);
  if (name === "Both") await createRole("both");
  await admin`select leasehold.grant_usage(${given})`;
  const [row] = await admin`
    select has_function_privilege(${name}::text, 'leasehold_internal.schema_info()', 'execute') as granted,
           has_schema_privilege(${name}::text, 'leasehold_internal', 'usage') as usage`;
  expect(row).toEqual({ granted: true, usage: true });
  if (name === "Both") {
    expect(await admin`select has_schema_privilege('both', 'leasehold', 'usage') as usage`).toEqual([{ usage: false }]);
  }
});

test.each(["missing", "", "public", "a.b", '"', "a b"])(
  "grant_usage says that a role %j does not exist",
  async (name) => {
    await expect(admin`select leasehold.grant_usage(${name})`).rejects.toMatchObject({
      code: "42704",
      message: `role "${name}" does not exist`,
    });
  },
);

test("migrate() names a role that does not exist, and grants to none of the others then", async () => {
  await createRole("first_of_two");
  await expect(migrateDatabase(connectTo(url), { grantTo: ["first_of_two", "missing"] })).rejects.toMatchObject({
    code: "invalid-option",
    option: "grantTo",
    received: expect.stringContaining("missing"),
  });
  const [row] = await admin`select has_schema_privilege('first_of_two', 'leasehold', 'usage') as granted`;
  expect(row).toEqual({ granted: false });
});

test("an application role may call migrate() at each start, once all is done", async () => {
  await migrateDatabase(connectTo(as(APP)), { grantTo: APP });
  await createRole("newcomer");
  const refused = migrateDatabase(connectTo(as(APP)), { grantTo: "newcomer" });
  await expect(refused).rejects.toMatchObject({
    code: "not-permitted",
    statement: "select leasehold.grant_usage('newcomer');",
  });
});

test("a role that was granted nothing is told the line to run, and the line helps", async () => {
  await createRole("New App");
  const error = await migrateDatabase(connectTo(as("New App"))).catch((error: unknown) => error);
  expect(error).toMatchObject({ code: "not-permitted", statement: "select leasehold.grant_usage('New App');" });
  await admin.unsafe((error as { statement: string }).statement);
  await migrateDatabase(connectTo(as("New App")));
});

test("a role that may not create schemas is told the line to run, and the line helps", async () => {
  await createRole("My Owner");
  await admin.unsafe('create database "NotMine"');
  const theirs = changeUrl(as("My Owner"), { database: "NotMine" });
  const error = await migrateDatabase(connectTo(theirs)).catch((error: unknown) => error);
  expect(error).toMatchObject({
    code: "not-permitted",
    statement: 'grant create on database "NotMine" to "My Owner";',
    role: "My Owner",
  });
  await admin.unsafe((error as { statement: string }).statement);
  await migrateDatabase(connectTo(theirs), { grantTo: APP });

  const app = await openClient(changeUrl(as(APP), { database: "NotMine" }));
  expect(await app`select version from leasehold_internal.schema_info()`).toEqual([{ version: 2 }]);
  await app.end();
});

test("a role to which the schema does not belong is told whose it is, and a member of that role the line to run", async () => {
  await createRole("the_owner");
  await createRole("the_other");
  await admin.unsafe("create database half_done");
  const half = await openClient(changeUrl(cluster.url, { database: "half_done" }));
  await half.unsafe("grant create on database half_done to the_owner, the_other");
  await half.unsafe("create schema leasehold authorization the_owner");
  await half.end();
  const theirs = changeUrl(as("the_other"), { database: "half_done" });
  await expect(migrateDatabase(connectTo(theirs))).rejects.toMatchObject({
    code: "unsafe-backend",
    message:
      'The schema leasehold belongs to "the_owner", whose code would run with the rights of "the_other". Migrate as "the_owner", or find out whose it is and drop it.',
  });
  // A member has rights of its own that the owner lacks.
  await admin.unsafe('grant "the_owner" to "the_other"');
  const line = `alter role "the_other" in database "half_done" set role = 'the_owner';`;
  await expect(migrateDatabase(connectTo(theirs))).rejects.toMatchObject({
    message: expect.stringContaining(`Migrate as "the_owner", or become it: ${line}`),
  });
  await admin.unsafe(line);
  await migrateDatabase(connectTo(theirs));
});

test.each(["leasehold", "leasehold_internal"])(
  "a superuser runs nothing in a schema %s of somebody else's",
  async (schema) => {
    const name = `trap_${schema}`;
    await createRole(name);
    await admin.unsafe(`create database ${name}`);
    await admin.unsafe(`grant create on database ${name} to ${name}`);
    const trapper = await openClient(changeUrl(as(name), { database: name }));
    await trapper.unsafe(`create schema ${schema}; create table ${schema}.migrations (id serial, hash text, created_at bigint);
    create function ${schema}.trap() returns trigger language plpgsql as $$ begin execute 'alter role ${name} superuser'; return new; end $$;
    create trigger trap before insert on ${schema}.migrations for each row execute function ${schema}.trap()`);

    await expect(migrateDatabase(connectTo(changeUrl(cluster.url, { database: name })))).rejects.toMatchObject({
      code: "unsafe-backend",
      message: expect.stringContaining(`Migrate as "${name}"`),
    });

    expect(await admin`select rolsuper from pg_roles where rolname = ${name}`).toEqual([{ rolsuper: false }]);
    await trapper.unsafe(`drop schema ${schema} cascade; create schema leasehold`);
    await trapper.end();
    await migrateDatabase(connectTo(changeUrl(as(name), { database: name })));
  },
);

async function createRole(name: string): Promise<void> {
  await (await cluster.sql()).unsafe(`create role "${name.replaceAll('"', '""')}" login password 'secret'`);
}

function as(role: string): string {
  return changeUrl(url, { user: role, password: "secret" });
}
