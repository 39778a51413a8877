// An application role with nothing but grant_usage tries to read a token, and to run its own code with the rights of the
// schema's owner. Trojan horses stand wherever an unqualified name, an operator, a cast or a default could lead to them.
import postgres from "postgres";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ask, giveBack } from "../support/ask.js";
import { createDatabase, createRole, type TestRole } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { tokenOf } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { expire, openSession, type Session } from "./session.js";

const database = await createDatabase();
const { sql } = database;
const owner = (await sql`select current_user as name`)[0]?.name as string;

let app: TestRole;
let session: Session;

// what the library's own functions call, compare and convert with
const operators = [
  "=",
  "<>",
  "<",
  "<=",
  ">",
  ">=",
  "||",
  "+",
  "-",
  "*",
  "/",
  "%",
  "&",
  "|",
  "#",
  "<<",
  ">>",
  "->",
  "->>",
  "@>",
  "?",
  "~",
  "!~",
  "^@",
];

beforeAll(async () => {
  app = await createRole(database, { grantUsage: true });
  await sql.unsafe(`
    create schema evil authorization "${app.name}";
    grant create on schema public to "${app.name}";
    grant temporary on database "${database.name}" to "${app.name}"`);
  session = await openSession(app.url);
  await session.run(`
    create table evil.log (who text not null, what text not null);
    -- who runs this, and can it read a token?
    create function evil.note(what text) returns boolean language plpgsql volatile set search_path = pg_catalog, evil as $$
    declare
      seen text;
    begin
      begin
        select 'read a token: ' || token::text into seen from leasehold.leases where token is not null limit 1;
      exception when insufficient_privilege then null;
      end;
      what := what || coalesce(' and ' || seen, '');
      raise warning 'trojan horse: % as %', what, current_user; -- no rollback takes that back
      insert into evil.log values (current_user::text, what);
      return true;
    end $$;
    grant usage on schema evil to public;
    grant insert on evil.log to public`);
  await plantTrojanHorses();
});

beforeEach(async () => {
  await session.run("reset all; truncate evil.log");
  await sql`delete from leasehold.resource_fences`;
});

afterAll(async () => {
  await session[Symbol.asyncDispose]();
});

test("no trojan horse is run with other rights, and no token is seen, whatever function is called how", async () => {
  expectLeft(database, "waiters", "sessions");
  await using locker = openLocker(database, { presence: "off" });
  await using lock = await locker.acquire("victim");
  const notices: string[] = [];
  const attacker = openAttacker(notices);
  const answers: unknown[] = [];
  const run = async (text: string) => {
    const rows = await attacker.unsafe(text).catch(async (error: Error) => {
      await attacker.unsafe("rollback");
      return [{ ...error, message: error.message }];
    });
    answers.push(...rows);
  };

  const callable = await attacker`
    select p.oid::regprocedure::text as name, format('%I.%I', n.nspname, p.proname) as function, p.prorettype = 'trigger'::regtype as is_trigger, p.prokind = 'p' as is_procedure,
           array_to_json(array(select format_type(t.oid, null) from unnest(p.proargtypes) with ordinality a (oid, place) join pg_type t on t.oid = a.oid order by a.place)) as arguments
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname in ('leasehold', 'leasehold_internal') and has_function_privilege(p.oid, 'execute')
     order by 1`;
  expect(callable.length).toBeGreaterThan(25);

  for (const path of [
    "evil, pg_temp, pg_catalog, public, leasehold, leasehold_internal",
    "pg_temp, evil, leasehold_internal, leasehold",
    "leasehold, evil",
  ]) {
    for (const { function: name, arguments: types, is_trigger: isTrigger, is_procedure: isProcedure } of callable) {
      for (const values of [valuesOf(lock.fence), valuesOf(lock.fence, { integer: "null" }), nullsOf()]) {
        const call = `${name}(${types.map((type: string) => values(type)).join(", ")})`;
        if (isProcedure) {
          // It commits, so not in a transaction.
          await run(`set search_path = ${path}`);
          await run(
            "set client_min_messages = debug5; set debug_print_plan = on; set plpgsql.print_strict_params = on",
          );
          await run(`call ${call}`);
          await run("reset all");
          continue;
        }
        await run("begin");
        await run(`set local search_path = ${path}`);
        await run(
          "set local client_min_messages = debug5; set local debug_print_plan = on; set local debug_print_parse = on",
        );
        await run("set local plpgsql.extra_errors = 'all'; set local plpgsql.print_strict_params = on");
        await run(
          isTrigger
            ? `create trigger t before insert or update or delete on evil.bait for each row execute function ${name}('evil.note(''argument'')::text', 'bait');
               insert into evil.bait values ('a'); update evil.bait set key = 'b'; delete from evil.bait`
            : `select * from ${call}`,
        );
        // under a guard, so that there is something to look at
        await run("rollback; begin");
        await run(`set local search_path = ${path}`);
        await run(`select leasehold.guard('victim', ${lock.fence})`);
        if (!isTrigger) await run(`select * from ${call}`);
        await run("commit");
      }
    }
  }
  await attacker.end();

  const trojans = notices.filter((notice) => notice.includes("trojan horse"));
  expect(trojans.filter((notice) => !notice.includes(` as ${app.name}`))).toEqual([]);
  expect(trojans.length).toBeGreaterThan(0); // the attacker's own
  expect(JSON.stringify([answers, notices])).not.toContain(await tokenOf(sql, "victim"));
  expect(lock.held).toBe(true);
  await lock.renew();
});

test("the same attack succeeds on a function that was made without care", async () => {
  // else the test above would prove nothing
  await using locker = openLocker(database, { presence: "off" });
  await locker.acquire("victim");
  await sql.unsafe(`
    create function public.careless(key text) returns boolean language plpgsql security definer as $$
    declare
      found text;
    begin
      found := format('%s', key)::text;
      return octet_length(found) = 6 and clock_timestamp() > '2000-01-01'::timestamptz and exists (select from pg_locks);
    end $$;
    grant execute on function public.careless to public`);
  const notices: string[] = [];
  const attacker = openAttacker(notices);
  await attacker.unsafe("set search_path = evil, pg_catalog; select public.careless('victim')");
  await attacker.end();
  await sql`drop function public.careless(text)`;

  const token = await tokenOf(sql, "victim");
  const inside = notices.filter((notice) => notice.includes(`as ${owner}`));
  for (const kind of ["function octet_length", "operator =", "operator >", "type timestamptz", "relation pg_locks"]) {
    expect(
      inside.filter((notice) => notice.includes(kind)),
      kind,
    ).not.toEqual([]);
  }
  expect(inside.filter((notice) => notice.includes(token))).not.toEqual([]);
});

test("casts, domains and composites of the attacker's own run as the attacker, before anything else does", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await using lock = await locker.acquire("victim");
  await session.run(`
    create domain evil.key_domain as text check (evil.note('domain'));
    create type evil.key_type as (key text);
    create function evil.key_cast(evil.key_type) returns text language plpgsql as $$ begin perform evil.note('cast'); return $1.key; end $$;
    create cast (evil.key_type as text) with function evil.key_cast(evil.key_type) as implicit;
    create type evil.fence_type as (fence bigint);
    create function evil.fence_cast(evil.fence_type) returns bigint language plpgsql as $$ begin perform evil.note('cast'); return $1.fence; end $$;
    create cast (evil.fence_type as bigint) with function evil.fence_cast(evil.fence_type) as implicit`);
  await session.run(`
    begin;
    select leasehold.guard('victim'::evil.key_domain, ${lock.fence});
    select leasehold.guard(row('victim')::evil.key_type, row(${lock.fence})::evil.fence_type);
    select leasehold.is_guarded(row('victim')::evil.key_type);
    select leasehold.check_fence(row('resource')::evil.key_type, row(1)::evil.fence_type);
    commit`);
  const who = await sql`select who, count(*)::int >= 6 as all from evil.log group by who`;
  expect([...who]).toEqual([{ who: app.name, all: true }]);
});

describe("what an attacker does on tables of his own runs with the rights of whoever writes there", () => {
  test("a malicious key expression, column type, default and trigger", async () => {
    await using locker = openLocker(database, { presence: "off" });
    await using lock = await locker.acquire("victim");
    await session.run(`
      create table evil.mine (key text default evil.note('default')::text, fence bigint);
      create function evil.own_trigger() returns trigger language plpgsql as $$ begin perform evil.note('trigger'); return new; end $$;
      create trigger own before insert or update on evil.mine for each row execute function evil.own_trigger();
      select leasehold.guard_table('evil.mine', $$(select case when evil.note('expression') then 'victim' end)$$);
      select leasehold.fence_table('evil.mine', 'fence');
      begin; select leasehold.guard('victim', ${lock.fence});
      insert into evil.mine (fence) values (1); update evil.mine set fence = 2; delete from evil.mine; commit`);
    const who = await sql`select distinct who, what from evil.log order by what`;
    expect([...who]).toEqual([
      { who: app.name, what: "default" },
      { who: app.name, what: "expression" },
      { who: app.name, what: "trigger" },
    ]);

    // the owner of the schema protects the attacker's table: nothing of the attacker's is run for that
    await session.run(`truncate evil.log; create domain evil.bait_domain as text check (evil.note('domain'));
      create table evil.bait_table (key evil.bait_domain default evil.note('default')::text, fence bigint default length(evil.note('default')::text))`);
    await using victim = await openSession(database);
    await victim.run(`set search_path = evil, pg_catalog;
      select leasehold.guard_table('evil.bait_table', 'key');
      select leasehold.guard_table('evil.bait_table', $$'a:' || key$$);
      select leasehold.fence_table('evil.bait_table', 'fence');
      select leasehold.unguard_table('evil.bait_table');
      select leasehold.unfence_table('evil.bait_table', 'fence');
      reset search_path`);
    expect([...(await sql`select who, what from evil.log`)]).toEqual([]);
  });

  test("a row policy, where somebody else protects the table", async () => {
    await session.run(`
      create function evil.policy() returns boolean immutable language plpgsql as $$ begin return evil.note('policy'); end $$;
      create table evil.policed (key text);
      alter table evil.policed enable row level security;
      create policy bait on evil.policed using (evil.policy());
      grant all on evil.policed to public`);
    const victim = await createRole(database, { grantUsage: true });
    await using protecting = await openSession(victim.url);
    await protecting.run("select leasehold.guard_table('evil.policed', $$'a:' || key$$)");
    expect([...(await sql`select who, what from evil.log`)]).toEqual([]);
  });

  test("a key expression that reads the leases, or tries to end the statement, gets what the writer may", async () => {
    for (const expression of [
      "(select token::text from leasehold.leases limit 1)",
      "(select l::text from leasehold.leases l limit 1)",
      "(select query from pg_stat_activity limit 1) || (table leasehold.leases)",
      "(select leasehold_internal._queue_head('victim')::text)",
    ]) {
      await session.run("create table evil.reader (key text)");
      const protect = session.sql`select leasehold.guard_table('evil.reader', ${expression})`;
      await expect(protect, expression).rejects.toMatchObject({ code: expect.stringMatching(/^(42501|LH003)$/) });
      // by hand, past the check
      await session.run(
        `create trigger by_hand after insert on evil.reader for each row execute function leasehold.require_guard('${expression.replaceAll("'", "''")}', 'reader')`,
      );
      await expect(session.run("insert into evil.reader values ('x')"), expression).rejects.toMatchObject({
        code: expect.stringMatching(/^4/),
      });
      await session.run("drop table evil.reader");
    }
  });
});

test("objects of its own, temporary or not, with the library's names are not looked at", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  const lock = await locker.acquire("victim");
  await lock.release();
  await using liar = await openSession(app.url);
  await liar.run(`
    create temp table leases (key text, token uuid, fence bigint, revoked_at timestamptz, expires_at timestamptz, ttl_ms int, owner text);
    insert into leases values ('victim', gen_random_uuid(), ${lock.fence}, null, 'infinity', 1000, 'me');
    create temp table resource_fences (resource text, fence bigint, checked_at timestamptz);
    create temp table fence_epoch (id boolean, source text);
    create temp table pg_trigger (oid oid);
    create temp table pg_class (oid oid);
    create temp table pg_locks (pid int);
    create function pg_temp.is_guarded(key text) returns boolean language sql as 'select true';
    create function pg_temp.guard(key text, fence bigint) returns void language sql as 'select null';
    create table public.leases as table pg_temp.leases;
    create function public.is_guarded(key text) returns boolean language sql as 'select true';
    create table evil.target (key text, fence bigint);
    select leasehold.guard_table('evil.target', 'key');
    select leasehold.fence_table('evil.target', 'fence');
    set search_path = pg_temp, evil, public, pg_catalog`);

  await expect(liar.run(`begin; select leasehold.guard('victim', ${lock.fence})`)).rejects.toMatchObject({
    code: "LH001",
  });
  await liar.rollback();
  await expect(liar.run("insert into evil.target values ('victim', 1)")).rejects.toMatchObject({ code: "LH005" });
  await liar.run("select leasehold.check_fence('r', 5)");
  expect([...(await sql`select fence from leasehold.resource_fences`)]).toEqual([{ fence: "5" }]);
  await sql`drop table public.leases, evil.target`;
  await sql`drop function public.is_guarded(text)`;
});

test("a forged record of guards cannot revive a fence that was superseded, and holds the key where it says so", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  const old = await locker.acquire("forged");
  await expire(database, "forged");
  const lock = await locker.acquire("forged");
  await session.run("create table evil.forged (key text); select leasehold.guard_table('evil.forged', 'key')");
  const write = () => session.run("insert into evil.forged values ('forged')");
  const [row] = await database.sql`select leasehold_internal._guards_setting('forged') as name`;
  const forge = (record: string, isLocal = true) =>
    session.sql`select set_config('leasehold.guards', 'yes', ${isLocal}), set_config(${row?.name}, ${record}, ${isLocal})`;
  const current = async () => (await session.run("select pg_current_xact_id()::text as xid"))[0]?.xid as string;
  const record = (xid: string, fence: unknown) => JSON.stringify({ xid, keys: { forged: fence } });

  for (const fence of [old.fence, lock.fence + 1n, 0n, -1n]) {
    await session.begin();
    await forge(record(await current(), Number(fence)));
    expect(await session.isGuarded("forged")).toBe(false);
    await expect(write()).rejects.toMatchObject({ code: "LH005" });
    await session.rollback();
  }
  // of another transaction: also one that was set for the session, and the record of a real one
  await session.begin();
  await session.guard("forged", lock.fence);
  const real = await session.setting(row?.name);
  await session.commit();
  for (const text of [
    real,
    record("1", Number(lock.fence)),
    JSON.stringify({ keys: { forged: Number(lock.fence) } }),
  ]) {
    for (const isLocal of [true, false]) {
      await session.begin();
      await forge(text, isLocal);
      expect(await session.isGuarded("forged"), text).toBe(false);
      await expect(write()).rejects.toMatchObject({ code: "LH005" });
      await session.rollback();
    }
  }
  // nonsense is an error or a no
  for (const text of ["x", "[]", "{}", "null", "1", '"x"']) {
    await session.begin();
    await forge(text);
    const answer = await session.isGuarded("forged").catch((error: { code: string }) => error.code);
    expect([false, "22P02"], text).toContain(answer);
    await session.rollback();
  }
  for (const fence of ["x", {}, null, [], 1.5]) {
    await session.begin();
    await forge(record(await current(), fence));
    const answer = await session.isGuarded("forged").catch((error: { code: string }) => error.code);
    expect([false, "22P02"], String(fence)).toContain(answer);
    await session.rollback();
  }

  // who forges the fence that nobody has superseded gets no more than the lock: nobody else is granted the key meanwhile
  await lock.release();
  await session.begin();
  await forge(record(await current(), Number(lock.fence)));
  await write();
  expect((await ask(sql, ["forged"]))[0]?.outcome).toBe("busy");
  await session.rollback();
  const asked = await ask(sql, ["forged"]);
  expect(asked[0]?.outcome).toBe("granted");
  await session.begin();
  await forge(record(await current(), Number(lock.fence)));
  await expect(write()).rejects.toMatchObject({ code: "LH005" });
  await session.rollback();
  await giveBack(sql, asked);
  await old.release().catch(() => undefined);
});

test("a writer's settings do not change what a key expression means", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await using lock = await locker.acquire("ab:1");
  await sql`create table public.meant (id int)`;
  await sql.unsafe(`grant all on public.meant to "${app.name}"`);
  await sql.unsafe(`select leasehold.guard_table('public.meant', $$'a\\b:' || id$$)`);
  await session.begin();
  await session.guard("ab:1", lock.fence);
  await session.run("set local standard_conforming_strings = off; set local search_path = evil, pg_temp, pg_catalog");
  await expect(session.run("insert into public.meant values (1)")).rejects.toMatchObject({
    code: "LH005",
    message: expect.stringContaining("a\\\\b:1"),
  });
  await session.rollback();
});

test.each([
  ["date", "2026-03-04", "2026-03-04", "datestyle = 'German, DMY'"],
  ["timestamptz", "2026-03-04 05:06Z", "2026-03-04 05:06:00+00", "timezone = 'Asia/Tokyo'"],
  ["interval", "1 day 2 hours", "1 day 02:00:00", "intervalstyle = iso_8601"],
  ["float8", "0.30000000000000004", "0.30000000000000004", "extra_float_digits = 0"],
  ["bytea", "\\x6162", "\\x6162", "bytea_output = escape"],
])("nor what a key with a %s in it looks like", async (type, value, text, setting) => {
  await using locker = openLocker(database, { presence: "off" });
  await using lock = await locker.acquire(`of:${text}`);
  await sql.unsafe(`create table public.looks (what ${type})`);
  await sql.unsafe(`grant all on public.looks to "${app.name}"`);
  await sql.unsafe(`select leasehold.guard_table('public.looks', $$'of:' || what::text$$)`);
  await session.begin();
  await session.run(`set local ${setting}`);
  await session.guard(lock.key, lock.fence);
  await session.run(`insert into public.looks values ('${value}')`);
  await session.rollback();
  await sql`drop table public.looks`;
});

test("it can neither refer to the library's tables nor build on their types", async () => {
  for (const statement of [
    "create table evil.t (l leasehold.leases)",
    "create table evil.t (l leasehold.leases[])",
    "create domain evil.d as leasehold.leases",
    "create function evil.f(leasehold.leases) returns int language sql as 'select 1'",
    "create table evil.t (key text references leasehold.leases)",
    "create table evil.t () inherits (leasehold.leases)",
    "create trigger t after insert on leasehold.leases for each row execute function evil.own_trigger()",
    "create rule r as on insert to leasehold.leases do also select 1",
    "create policy p on leasehold.leases",
    "create publication p for table leasehold.leases",
    "alter table leasehold.leases disable trigger all",
    "select leasehold.guard_table('leasehold.leases', 'key')",
    "select leasehold.fence_table('leasehold.leases', 'fence')",
    "select leasehold.unguard_table('leasehold.leases'), leasehold.guard_table('leasehold.resource_fences', 'resource')",
    "create function leasehold.f() returns int language sql as 'select 1'",
    "alter function leasehold.guard(text, bigint, interval) set search_path = evil",
    "create or replace function leasehold.is_guarded(key text) returns boolean language sql as 'select true'",
    "select currtid2('leasehold.leases', '(0,1)')",
    "copy leasehold.leases to stdout",
    "begin; lock table leasehold.leases",
    "create view evil.v as select token from leasehold.leases; select * from evil.v",
    "create materialized view evil.m as select token from leasehold.leases",
    "create function evil.d() returns text language sql security definer as 'select max(token::text) from leasehold.leases'; select evil.d()",
    "prepare p as select token from leasehold.leases; execute p",
    "declare c cursor with hold for select token from leasehold.leases",
    "create statistics evil.s on key, token from leasehold.leases",
    "create index on leasehold.leases (expires_at)",
    "comment on table leasehold.leases is ''",
  ]) {
    await expect(session.run(statement), statement).rejects.toMatchObject({ code: "42501" });
    await session.rollback();
  }
});

function openAttacker(notices: string[]): postgres.Sql {
  return postgres(app.url, { max: 1, fetch_types: false, onnotice: (notice) => notices.push(JSON.stringify(notice)) });
}

function nullsOf(): (type: string) => string {
  return (type) => `null::pg_catalog.${pgName(type)}`;
}

function valuesOf(fence: bigint, others: Readonly<Record<string, string>> = {}): (type: string) => string {
  return (type) => {
    const value = {
      text: "'victim'",
      "text[]": "'{victim}'",
      bigint: `${fence}`,
      "bigint[]": `'{${fence}}'`,
      integer: "1000",
      "integer[]": "'{1000}'",
      uuid: "'6c1b7a3e-0000-4000-8000-000000000000'",
      "uuid[]": "'{6c1b7a3e-0000-4000-8000-000000000000}'",
      "double precision": "1e15",
      "double precision[]": "'{1e15}'",
      boolean: "false",
      "boolean[]": "'{true}'",
      interval: "'1 s'",
      "timestamp with time zone": "'2026-01-01'",
      jsonb: "'{}'",
      regclass: "'evil.bait'",
      name: "'fence'",
      ...others,
    }[type];
    if (value === undefined) throw new Error(`no value for an argument of type ${type}`);
    return `${value}::pg_catalog.${pgName(type)}`;
  };
}

function pgName(type: string): string {
  const names: Record<string, string> = {
    bigint: "int8",
    integer: "int4",
    "double precision": "float8",
    boolean: "bool",
    "timestamp with time zone": "timestamptz",
  };
  const base = type.replace("[]", "");
  return `${names[base] ?? base}${type.endsWith("[]") ? "[]" : ""}`;
}

/** In the attacker's schema, one of each function that the library's functions name, and of each operator on their types. */
async function plantTrojanHorses(): Promise<void> {
  await session.run("create table evil.bait (key text, fence bigint)");
  const functions = await sql`
    select p.proname::text as name, pg_get_function_result(p.oid) as result, p.pronargs as arity,
           array_to_json(array(select format('pg_catalog.%I', t.typname) from unnest(p.proargtypes) with ordinality a (oid, place) join pg_type t on t.oid = a.oid order by a.place)) as arguments
      from pg_proc p join pg_type r on r.oid = p.prorettype
     where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and not p.proretset and r.typtype <> 'p'
       and not exists (select from unnest(p.proargtypes) a (oid) join pg_type t on t.oid = a.oid where t.typtype = 'p')
       and p.proname in (
         select distinct m[1] from pg_proc l cross join lateral regexp_matches(
             coalesce(l.prosrc, '') || coalesce(pg_get_functiondef(l.oid), ''), '([a-z_0-9]+)\\(', 'g') m
          where l.pronamespace in ('leasehold'::regnamespace, 'leasehold_internal'::regnamespace))`;
  expect(functions.length).toBeGreaterThan(30);
  for (const { name, result, arguments: types } of functions) {
    await session.run(`create function evil."${name}"(${types.join(", ")}) returns ${result} language plpgsql volatile as $trap$
      begin
        perform evil.note('function ${name}');
        return pg_catalog."${name}"(${types.map((_: string, index: number) => `$${index + 1}`).join(", ")});
      end $trap$`);
  }
  const found = await sql`
    select o.oprname::text as name, format('pg_catalog.%I', l.typname) as lefttype, format('pg_catalog.%I', r.typname) as righttype, o.oprresult::regtype::text as result
      from pg_operator o join pg_type l on l.oid = o.oprleft join pg_type r on r.oid = o.oprright
     where o.oprname in ${sql(operators)} and l.typtype <> 'p' and r.typtype <> 'p' and o.oprresult <> 0
       and (l.typname in ${sql(["text", "int8", "int4", "int2", "numeric", "float8", "timestamptz", "interval", "xid", "xid8", "jsonb", "oid", "uuid", "bool", "bytea", "name", "tid", "char", "regtype"])}
         or r.typname in ('text', 'int8', 'timestamptz', 'jsonb'))`;
  expect(found.length).toBeGreaterThan(150);
  for (const [index, { name, lefttype, righttype, result }] of found.entries()) {
    await session.run(`
      create function evil.operator_${index}(${lefttype}, ${righttype}) returns ${result} language plpgsql volatile as $trap$
        begin perform evil.note('operator ${name}'); return $1 operator(pg_catalog.${name}) $2; end $trap$;
      create operator evil.${name} (leftarg = ${lefttype}, rightarg = ${righttype}, function = evil.operator_${index})`);
  }
  // types and tables that are named without a schema
  for (const type of [
    "text",
    "jsonb",
    "int4",
    "int8",
    "xid",
    "xid8",
    "uuid",
    "timestamptz",
    "interval",
    "regclass",
    "regtype",
    "name",
    "numeric",
    "tid",
    "bool",
    "float8",
  ]) {
    await session.run(`create domain evil.${type} as pg_catalog.${type} check (evil.note('type ${type}'))`);
  }
  for (const relation of [
    "leases",
    "waiters",
    "sessions",
    "fence_epoch",
    "schema_version",
    "resource_fences",
    "pg_locks",
    "pg_database",
    "pg_prepared_xacts",
    "pg_proc",
    "pg_roles",
    "pg_trigger",
    "pg_class",
    "pg_attribute",
    "pg_namespace",
    "pg_depend",
    "pg_type",
    "pg_inherits",
    "pg_stat_activity",
  ]) {
    await session.run(`create view evil.${relation} as select evil.note('relation ${relation}') as key`);
  }
  for (const [name, args] of [
    ["guard", "key pg_catalog.text, fence pg_catalog.int8"],
    ["is_guarded", "key pg_catalog.text"],
    ["_guard", "pg_catalog.text, pg_catalog.int8, pg_catalog.numeric"],
    ["_ms", "pg_catalog.timestamptz"],
  ]) {
    await session.run(
      `create function evil.${name}(${args}) returns pg_catalog.bool language sql as $$ select evil.note('function ${name}') $$`,
    );
  }
}
