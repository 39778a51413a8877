import type postgres from "postgres";
import { expect, test } from "vitest";
import { guardBlock } from "../../src/postgres/connection/owners.js";
import { migrations } from "../../src/postgres/schema/migrations.generated.js";
import { openSession } from "../fencing/session.js";
import { CliProcess, runCli } from "../support/cli.js";
import { cliProgram } from "../support/compiled.js";
import { createDatabase, createEmptyDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const cli = cliProgram();

/** All that a migration makes, as the catalog tells it. */
async function schemaOf(sql: postgres.Sql): Promise<Record<string, unknown>> {
  const ours = "('leasehold'::regnamespace, 'leasehold_internal'::regnamespace)";
  const ask = async (text: string) => [...(await sql.unsafe(text))];
  return {
    relations: await ask(
      `select c.oid::regclass::text as name, relkind, relpersistence, reloptions, relacl::text, obj_description(c.oid, 'pg_class') as comment,
         case when relkind = 'v' then pg_get_viewdef(c.oid) end as view from pg_class c where relnamespace in ${ours} order by 1`,
    ),
    columns: await ask(
      `select attrelid::regclass::text as name, attnum, attname, format_type(atttypid, atttypmod) as type, attnotnull, attacl::text, col_description(attrelid, attnum) as comment
         from pg_attribute where attrelid in (select oid from pg_class where relnamespace in ${ours}) and attnum > 0 order by 1, 2`,
    ),
    routines: await ask(
      `select p.oid::regprocedure::text as name, pg_get_functiondef(p.oid) as body, proacl::text, obj_description(p.oid, 'pg_proc') as comment
         from pg_proc p where pronamespace in ${ours} order by 1`,
    ),
    migrations: await ask("select hash, created_at from leasehold.migrations order by id"),
  };
}

test("it makes the schema, once", async () => {
  await using database = await createEmptyDatabase();
  expect(await runCli(cli, ["migrate"], database)).toEqual({
    code: 0,
    stdout: "The schema was migrated.\n",
    stderr: "",
  });
  expect(await runCli(cli, ["migrate"], database)).toEqual({
    code: 0,
    stdout: "The schema is up to date.\n",
    stderr: "",
  });
  expect(await runCli(cli, ["migrate", "--dry-run"], database)).toEqual({ code: 0, stdout: "", stderr: "" });
  await using locker = openLocker(database);
  expect(await locker.withLock("a", () => "locked")).toBe("locked");
});

test("--dry-run changes nothing, and what it prints makes what migrate makes; so does what sql prints", async () => {
  await using migrated = await createEmptyDatabase();
  await using dry = await createEmptyDatabase();
  await using printed = await createEmptyDatabase();
  expect((await runCli(cli, ["migrate"], migrated)).code).toBe(0);

  const plan = await runCli(cli, ["migrate", "--dry-run"], dry);
  expect(plan).toMatchObject({ code: 0, stderr: "" });
  expect(await dry.sql`select from pg_namespace where nspname like 'leasehold%'`).toHaveLength(0);
  await dry.sql.unsafe(plan.stdout);

  const schema = await runCli(cli, ["sql"]);
  expect(schema).toEqual(plan);
  await printed.sql.unsafe(schema.stdout);

  const expected = await schemaOf(migrated.sql);
  expect(expected.migrations).toHaveLength(migrations.length);
  expect(await schemaOf(dry.sql)).toEqual(expected);
  expect(await schemaOf(printed.sql)).toEqual(expected);
  expect(await runCli(cli, ["migrate"], dry)).toMatchObject({ code: 0, stdout: "The schema is up to date.\n" });
});

test("--dry-run prints what is missing alone", async () => {
  await using database = await createEmptyDatabase();
  const last = migrations.at(-1);
  const all: string[] = JSON.parse((await runCli(cli, ["migrate", "--dry-run", "--json"], database)).stdout).statements;
  // As it was before the last migration: everything but that one, and its version is not announced yet.
  await database.sql.unsafe(all.slice(0, all.length - 1 - (last?.statements.length ?? 0)).join(";\n"));
  await database.sql`delete from leasehold.schema_version`;
  const { stdout } = await runCli(cli, ["migrate", "--dry-run", "--json"], database);
  const { statements, is_changed } = JSON.parse(stdout) as { statements: string[]; is_changed: boolean };
  expect(is_changed).toBe(false);
  for (const statement of last?.statements ?? []) expect(statements).toContain(statement);
  expect(statements.join()).not.toContain(migrations[0]?.hash);
  expect(statements.join()).toContain(last?.hash);
});

test("--dry-run prints the rows that a schema without its data lacks, and no more", async () => {
  await using database = await createDatabase();
  await database.sql`truncate leasehold.fence_epoch, leasehold.sweeper, leasehold.schema_version, leasehold.migrations`;
  const { stdout } = await runCli(cli, ["migrate", "--dry-run"], database);
  expect(stdout).toContain("select leasehold_internal._insert_missing_rows();");
  expect(stdout).not.toContain("create function");
  await database.sql.unsafe(stdout);
  expect(await runCli(cli, ["migrate"], database)).toMatchObject({ stdout: "The schema is up to date.\n" });
  expect(await database.sql`select from leasehold.migrations`).toHaveLength(migrations.length);
});

test("--grant-to lets roles lock; with --dry-run it prints the line that would", async () => {
  await using database = await createDatabase();
  const [first, second] = [await createRole(database, { label: "it's" }), await createRole(database)];
  const args = ["migrate", "--grant-to", first.name, "--grant-to", second.name];
  const plan = await runCli(cli, [...args, "--dry-run"], database);
  const lines = [first, second].map(({ name }) => `select leasehold.grant_usage('${name.replaceAll("'", "''")}');`);
  const preamble = ["set local search_path = pg_catalog, pg_temp;", `${guardBlock()};`];
  expect(plan.stdout).toBe(`begin;\n\n${[...preamble, ...lines].join("\n\n")}\n\ncommit;\n`);
  await using before = openLocker(first.url);
  await expect(before.ready()).rejects.toMatchObject({ code: "not-permitted" });

  const done = await runCli(cli, [...args, "--json"], database);
  expect(JSON.parse(done.stdout)).toEqual({
    is_dry_run: false,
    is_changed: true,
    statements: [...preamble, ...lines].map((line) => line.replace(/;$/, "")),
  });
  await using locker = openLocker(first.url);
  await locker.ready();
  expect((await runCli(cli, args, database)).stdout).toBe("The schema is up to date.\n");
});

test("while it waits for another, it says for whom", async () => {
  await using database = await createEmptyDatabase();
  await using other = await openSession(database);
  await other.run("select pg_advisory_lock(1279480142, 0)");
  await using child = new CliProcess(cli, ["migrate"], database);
  const line = `leasehold migrate: migrate() waits: server process ${other.pid} `;
  await until("it says so", () => child.stderr.includes(line));
  await other.run("select pg_advisory_unlock(1279480142, 0)");
  expect(await child.result).toMatchObject({ code: 0, stdout: "The schema was migrated.\n" });
  expect(child.stderr).toContain("has the migration's lock");
});

test("a role that may not: what to grant, exit code 1", async () => {
  await using database = await createEmptyDatabase();
  const role = await createRole(database);
  await database.sql`create schema leasehold`;
  for (const args of [["migrate"], ["migrate", "--dry-run"]]) {
    const { code, stderr } = await runCli(cli, args, role);
    const [owner] = await database.sql`select current_user::text as name`;
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        `belongs to "${owner?.name}", and "${role.name}" may not change it. Migrate as "${owner?.name}"`,
      ),
    });
  }
  await database.sql`drop schema leasehold`;
  const { code, stdout, stderr } = await runCli(cli, ["migrate"], role);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain(`run: grant create on database "${database.name}" to "${role.name}";`);
});
