// Whose code would run is read from the catalog before anything in the two schemas is called. Each trap here raises its owner to a
// superuser, or opens what its caller may read, if it is sprung.
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pendingMigration, script, wholeSchema } from "../../src/cli/migration-script.js";
import { createLocker } from "../../src/index.js";
import { SCHEMA_VERSION } from "../../src/postgres/connection/schema-version.js";
import { migrateDatabase } from "../../src/postgres/schema/migrate.js";
import { connectTo } from "../migrate/connection.js";
import { runCli } from "../support/cli.js";
import { changeUrl, openClient } from "../support/client.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { cliProgram } from "../support/compiled.js";

let cluster: Cluster;
let admin: postgres.Sql;

beforeAll(async () => {
  cluster = await startCluster();
  admin = await cluster.sql();
});

afterAll(() => cluster.destroy());

/** What a squatter makes: a schema_info() of his own, which says that all is done, and a trigger on a table of bookkeeping of his own. */
const squats: Readonly<Record<string, string>> = {
  "a schema_info()": `
    create schema leasehold_internal; grant usage on schema leasehold_internal to public;
    create function leasehold_internal.schema_info() returns table (version integer, min_client integer) language plpgsql as $$
    begin perform public.spring(); return query select ${SCHEMA_VERSION}, 1; end $$`,
  "all that migrate() asks for": `
    create schema leasehold; create schema leasehold_internal; grant usage on schema leasehold, leasehold_internal to public;
    create function leasehold_internal.schema_info() returns table (version integer, min_client integer) language plpgsql as $$
    begin perform public.spring(); return query select ${SCHEMA_VERSION}, 1; end $$;
    create function leasehold.grant_usage(role text) returns void language plpgsql as $$ begin perform public.spring(); end $$;
    create function leasehold_internal.stray_rights() returns setof int language plpgsql as $$ begin perform public.spring(); end $$;
    create function leasehold_internal.new_session_id() returns int language plpgsql as $$ begin perform public.spring(); return 1; end $$;
    create function leasehold_internal.sees_session(int, uuid) returns bool language plpgsql as $$ begin perform public.spring(); return true; end $$;
    create function leasehold_internal.fence_source() returns text language plpgsql as $$ begin perform public.spring(); return 'auto'; end $$;
    create function leasehold_internal.database_id() returns text language plpgsql as $$ begin perform public.spring(); return 'here'; end $$;
    create view leasehold.active_leases as select 1 as key; grant select on leasehold.active_leases to public`,
  "a bookkeeping table with a trigger": `
    create schema leasehold; create table leasehold.migrations (id serial primary key, hash text not null, created_at bigint);
    create function leasehold.trap() returns trigger language plpgsql as $$ begin perform public.spring(); return new; end $$;
    create trigger trap before insert on leasehold.migrations for each row execute function leasehold.trap()`,
};

let count = 0;

interface Place extends AsyncDisposable {
  readonly name: string;
  readonly sql: postgres.Sql;
  /** Who has CREATE on the database, and who ran what was sprung. */
  readonly evil: string;
  urlOf(role?: string): string;
  sprungBy(): Promise<unknown[]>;
}

/** A database in which the role `evil` may make schemas. `public.spring` notes who calls it, and takes what it can get. */
async function place(): Promise<Place> {
  count += 1;
  const [name, evil] = [`squatted_${count}`, `evil_${count}`];
  await admin.unsafe(`create database ${name}`);
  await role(evil);
  await admin.unsafe(`grant create on database ${name} to ${evil}`);
  const sql = await openClient(changeUrl(cluster.url, { database: name }));
  await sql.unsafe(`
    create table public.sprung (by text); grant insert on public.sprung to public;
    create sequence public.springs; grant usage on public.springs to public;
    create function public.spring() returns void language plpgsql as $$
    begin perform pg_catalog.nextval('public.springs'); insert into public.sprung values (current_user); end $$`);
  const urlOf = (user?: string) =>
    changeUrl(cluster.url, { database: name, ...(user === undefined ? {} : { user, password: "secret" }) });
  return {
    name,
    sql,
    evil,
    urlOf,
    // A sequence is not rolled back: what was sprung in a transaction that failed counts, too.
    sprungBy: async () =>
      (
        await sql`
          select by from public.sprung
          union all select 'somebody whose transaction was rolled back' from public.springs
           where is_called and not exists (select from public.sprung)`
      ).map(({ by }) => by),
    [Symbol.asyncDispose]: () => sql.end(),
  };
}

async function role(name: string): Promise<void> {
  await admin.unsafe(`create role ${name} login password 'secret'`);
}

async function as(url: string, statements: string): Promise<void> {
  const sql = await openClient(url);
  await sql.unsafe(statements).finally(() => sql.end());
}

function refusal(owner: string) {
  return { code: "unsafe-backend", message: expect.stringContaining(`belongs to "${owner}"`) };
}

test.each(Object.entries(squats))(
  "a superuser who migrates where a squatter made %s runs nothing of his",
  async (_, squat) => {
    await using there = await place();
    await as(there.urlOf(there.evil), squat);
    await expect(migrateDatabase(connectTo(there.urlOf()), { grantTo: there.evil })).rejects.toMatchObject(
      refusal(there.evil),
    );
    expect(await there.sprungBy()).toEqual([]);
  },
);

test.each(Object.entries(squats))(
  "a role that may make schemas, and finds %s made, runs nothing of it",
  async (_, squat) => {
    await using there = await place();
    await role(`migrator_${there.name}`);
    await admin.unsafe(`grant create on database ${there.name} to migrator_${there.name}`);
    await as(there.urlOf(there.evil), squat);
    const url = there.urlOf(`migrator_${there.name}`);
    await expect(migrateDatabase(connectTo(url))).rejects.toMatchObject(refusal(there.evil));
    expect(await there.sprungBy()).toEqual([]);
  },
);

test.each<readonly [string, { readonly presence?: "off"; readonly given?: boolean }]>([
  ["with presence", {}],
  ["without presence", { presence: "off" }],
  ["over a client that was given", { given: true }],
])("a locker %s calls nothing where everybody may call the functions", async (_, { given = false, ...options }) => {
  await using there = await place();
  await role(`app_${there.name}`);
  await as(there.urlOf(there.evil), squats["all that migrate() asks for"] as string);
  const url = there.urlOf(`app_${there.name}`);
  const sql = given ? postgres(url, { max: 1, onnotice: () => {} }) : undefined;
  const locker = createLocker({ ...options, url, ...(sql === undefined ? {} : { client: sql, presence: "off" }) });
  await expect(locker.ready()).rejects.toMatchObject({
    code: "unsafe-backend",
    message: expect.stringContaining(`the schema leasehold_internal of "${there.evil}"`),
  });
  await locker.debug();
  await locker.close();
  await sql?.end();
  expect(await there.sprungBy()).toEqual([]);
});

test("a locker calls nothing of a schema in which something belongs to another than the schema's owner", async () => {
  await using there = await place();
  await role(`owner_${there.name}`);
  await admin.unsafe(`grant create on database ${there.name} to owner_${there.name}`);
  await migrateDatabase(connectTo(there.urlOf(`owner_${there.name}`)));
  await role(`app_${there.name}`);
  await as(there.urlOf(`owner_${there.name}`), `select leasehold.grant_usage('app_${there.name}')`);
  const ready = async () => {
    const locker = createLocker({ url: there.urlOf(`app_${there.name}`) });
    await locker.ready().finally(() => locker.close());
  };
  await ready();

  await there.sql.unsafe(`alter function leasehold_internal.schema_info() owner to ${there.evil}`);
  await expect(ready()).rejects.toMatchObject({
    code: "unsafe-backend",
    message: `The function leasehold_internal.schema_info belongs to "${there.evil}", whose code would run with the rights of "app_${there.name}". Connect as "${there.evil}", or find out whose it is and drop it.`,
  });
  await there.sql.unsafe(`alter function leasehold_internal.schema_info() owner to owner_${there.name}`);

  await there.sql.unsafe(
    `grant trigger on leasehold.leases to ${there.evil}; grant usage on schema leasehold to ${there.evil}`,
  );
  await as(
    there.urlOf(there.evil),
    `create schema mine; create function mine.trap() returns trigger language plpgsql as $$ begin perform public.spring(); return new; end $$;
     create trigger trap before insert on leasehold.leases for each row execute function mine.trap()`,
  );
  await expect(ready()).rejects.toMatchObject(refusal(there.evil));
  await expect(migrateDatabase(connectTo(there.urlOf(`owner_${there.name}`)))).rejects.toMatchObject(
    refusal(there.evil),
  );
  await there.sql.unsafe("drop trigger trap on leasehold.leases");
  await ready();

  await there.sql.unsafe(`grant references on leasehold.leases to ${there.evil}`);
  await as(
    there.urlOf(there.evil),
    `create table mine.referring (key text references leasehold.leases on delete cascade);
     create trigger trap before delete on mine.referring for each row execute function mine.trap()`,
  );
  await there.sql.unsafe(`revoke references on leasehold.leases from ${there.evil}`);
  await expect(ready()).rejects.toMatchObject(refusal(there.evil));
  expect(await there.sprungBy()).toEqual([]);
});

test("a superuser neither migrates, nor locks, nor looks in what belongs to an application's role", async () => {
  await using there = await place();
  await migrateDatabase(connectTo(there.urlOf(there.evil)));
  await as(
    there.urlOf(there.evil),
    `create or replace function leasehold_internal.schema_info() returns table (version integer, min_client integer) language plpgsql as $$
     begin perform public.spring(); return query select ${SCHEMA_VERSION}, 1; end $$`,
  );
  const message = expect.stringContaining(`The schema leasehold belongs to "${there.evil}"`);
  await expect(migrateDatabase(connectTo(there.urlOf()))).rejects.toMatchObject({ message });
  const locker = createLocker({ url: there.urlOf() });
  await expect(locker.acquire("a")).rejects.toMatchObject({ message });
  await locker.close();
  const cli = cliProgram();
  for (const command of [["migrate"], ["migrate", "--dry-run"], ["doctor"], ["ls"], ["sweep"], ["stats"]]) {
    const { code, stderr } = await runCli(cli, command, { url: there.urlOf() });
    expect({ code, stderr }, command.join(" ")).toEqual({
      code: expect.any(Number),
      stderr: expect.stringContaining(`belongs to "${there.evil}"`),
    });
    expect(code).not.toBe(0);
  }
  expect(await there.sprungBy()).toEqual([]);
});

test.each(Object.entries(squats))(
  "the printed script stops, in any client, where a squatter made %s",
  async (_, squat) => {
    await using there = await place();
    await as(there.urlOf(there.evil), squat);
    const statements = await wholeSchema();
    const failure = { code: "LH004", message: expect.stringContaining(`belongs to ${there.evil}`) };
    await expect(as(there.urlOf(), script(statements))).rejects.toMatchObject(failure);
    // Statement by statement, as psql sends them, and with no stop at an error.
    const sql = await openClient(there.urlOf());
    const errors: unknown[] = [];
    for (const statement of ["begin", ...statements, "commit"]) {
      await sql.unsafe(statement).catch((error: unknown) => errors.push(error));
    }
    await sql.end();
    expect(errors[0]).toMatchObject(failure);
    expect(await there.sprungBy()).toEqual([]);
  },
);

test("the printed script makes the schema where nothing is in the way, and is told where it is done", async () => {
  await using there = await place();
  await as(there.urlOf(there.evil), script(await wholeSchema()));
  const query = (text: string, parameters: readonly unknown[] = []) => there.sql.unsafe(text, parameters as never[]);
  await there.sql.unsafe(`set role ${there.evil}`);
  expect(await pendingMigration({ query } as never, [])).toEqual([]);
});

test.each<readonly [string, { readonly presence?: "off"; readonly given?: boolean }]>([
  ["with presence", {}],
  ["without presence", { presence: "off" }],
  ["over a client that was given", { given: true }],
])(
  "a locker %s that found no schemas looks whose they are once there are some",
  async (_, { given = false, ...options }) => {
    await using there = await place();
    const sql = given ? postgres(there.urlOf(), { max: 1, onnotice: () => {} }) : undefined;
    const locker = createLocker({
      ...options,
      url: there.urlOf(),
      ...(sql === undefined ? {} : { client: sql, presence: "off" }),
    });
    await expect(locker.acquire("a")).rejects.toMatchObject({ code: "not-migrated" });
    await as(there.urlOf(there.evil), squats["all that migrate() asks for"] as string);
    await expect(locker.acquire("a")).rejects.toMatchObject(refusal(there.evil));
    await locker.close();
    await sql?.end();
    expect(await there.sprungBy()).toEqual([]);
  },
);

test.each(Object.entries(squats))(
  "a squatter who makes %s while a superuser's migrate() looks gets nothing",
  async (_, squat) => {
    await using there = await place();
    let looks = 0;
    const connect = () => {
      const connection = connectTo(there.urlOf())();
      const query = async (text: string, parameters?: readonly string[]) => {
        const rows = await connection.query(text, parameters ?? []);
        if (text.startsWith("with me as") && ++looks === 1) await as(there.urlOf(there.evil), squat);
        return rows;
      };
      return { query, end: () => connection.end(), destroy: () => connection.destroy() };
    };
    await expect(migrateDatabase(connect, { grantTo: there.evil })).rejects.toMatchObject(refusal(there.evil));
    expect(await there.sprungBy()).toEqual([]);
  },
);

test("after the printed script has looked for the last time whose the schemas are, nobody else can make one", async () => {
  await using there = await place();
  const statements = await wholeSchema();
  const last = statements.findLastIndex((statement) => statement.startsWith("do $guard$"));
  const sql = await openClient(there.urlOf());
  await sql.unsafe("begin");
  for (const [index, statement] of statements.entries()) {
    await sql.unsafe(statement);
    if (index !== last) continue;
    for (const schema of ["leasehold", "leasehold_internal"]) {
      const squat = as(there.urlOf(there.evil), `set lock_timeout = '10ms'; create schema ${schema}`);
      await expect(squat, schema).rejects.toMatchObject({ code: "55P03" });
    }
  }
  await sql.unsafe("commit");
  await sql.end();
});
