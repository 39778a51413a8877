import postgres from "postgres";
import { describe, expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { openSession } from "./session.js";

const database = await createDatabase();
const { sql } = database;
const [server] = await sql`select current_setting('server_version_num')::int as version`;

const tooOld = { code: "LH006" };

describe.each([
  ["plain", "accounts", "fence"],
  ["quoted and mixed case", '"Konten & Co"', '"Last Fence"'],
  ["in a schema", 'app."Accounts"', "fence"],
  ["names with quotes", `app."it's ""quoted"""`, `"it's ""fence"""`],
  ["with the longest names", `app.${"t".repeat(63)}`, "c".repeat(63)],
])("a table with names %s", (_, table, column) => {
  test("takes fences that rise or stay, and refuses those that sink", async () => {
    await sql.unsafe("create schema if not exists app");
    await sql.unsafe(`create table ${table} (id int primary key, balance int, ${column} bigint)`);
    await fence(table, column);
    const run = (text: string) => sql.unsafe(text);
    await run(`insert into ${table} values (1, 0, null), (2, 0, 7), (3, 0, 3)`);

    await run(`update ${table} set balance = 1, ${column} = 5 where id = 1`);
    await run(`update ${table} set balance = 1, ${column} = 7 where id = 2`);
    await run(`update ${table} set balance = 2 where id = 2`);
    await expect(run(`update ${table} set balance = 9, ${column} = 4 where id = 1`)).rejects.toMatchObject({
      code: "LH006",
      message: expect.stringMatching(/^fence 4 is too old for a row of /),
      detail: expect.stringMatching(/^The row was written with fence 5\./),
      hint: expect.stringContaining("acquire the lock again"),
      table_name: await nameOf(table),
    });
    await expect(run(`update ${table} set ${column} = null where id = 1`)).rejects.toMatchObject({
      code: "LH006",
      message: expect.stringMatching(/cannot lose its fence$/),
    });
    // one row that is too old takes the whole statement with it
    await expect(run(`update ${table} set balance = 9, ${column} = 6`)).rejects.toMatchObject(tooOld);
    const rows = await run(`select balance, ${column} as fence from ${table} order by id`);
    expect([...rows]).toEqual([
      { balance: 1, fence: "5" },
      { balance: 2, fence: "7" },
      { balance: 0, fence: "3" },
    ]);

    await unfence(table, column);
    await run(`update ${table} set ${column} = 1`);
    expect(await triggers(table)).toEqual([]);
  });
});

test("putting it on and taking it off again is idempotent, and touches nothing where nothing is to do", async () => {
  await sql`create table twice (id int, fence bigint, other bigint)`;
  await unfence("twice", "fence");
  await fence("twice", "fence");
  const before = await triggers("twice");
  expect(before).toHaveLength(1);
  await using reader = await openSession(database);
  await reader.run("begin; select from twice"); // any lock on the table would wait for it
  await sql.begin(async (tx) => {
    await tx`set local lock_timeout = '100ms'`;
    await tx`select leasehold.fence_table('twice', 'fence')`;
    await tx`select leasehold.unfence_table('twice', 'other')`;
  });
  await reader.commit();
  expect(await triggers("twice")).toEqual(before);

  await sql`alter table twice disable trigger user`;
  await fence("twice", "fence");
  await fence("twice", "other");
  expect(await triggers("twice")).toHaveLength(2);
  await sql`insert into twice values (1, 5, 5)`;
  await expect(sql`update twice set fence = 4`).rejects.toMatchObject(tooOld);
  await expect(sql`update twice set other = 4`).rejects.toMatchObject({ message: expect.stringContaining("fence 4") });
  await unfence("twice", "fence");
  await sql`update twice set fence = 4`;
  await expect(sql`update twice set other = 4`).rejects.toMatchObject(tooOld);
  await unfence("twice", "other");
  await unfence("twice", "other");
  expect(await triggers("twice")).toEqual([]);
});

test("several that put it on at once all succeed, and one trigger is there", async () => {
  await sql`create table at_once (id int, fence bigint)`;
  const sessions = await Promise.all(Array.from({ length: 6 }, () => openSession(database)));
  await Promise.all(sessions.map((session) => session.run("select leasehold.fence_table('at_once', 'fence')")));
  expect(await triggers("at_once")).toHaveLength(1);
  await Promise.all(sessions.map((session) => session[Symbol.asyncDispose]()));
});

test("it follows a column that is renamed, and one that takes its name gets its own", async () => {
  await sql`create table renamed (id int, fence bigint)`;
  await fence("renamed", "fence");
  await sql`alter table renamed rename column fence to old_fence`;
  await sql`insert into renamed values (1, 5)`;
  await expect(sql`update renamed set old_fence = 4`).rejects.toMatchObject({
    code: "LH006",
    message: expect.stringContaining("fence 4"),
    column_name: "old_fence",
  });
  await fence("renamed", "old_fence");
  expect(await triggers("renamed")).toHaveLength(1);
  await sql`alter table renamed add column fence bigint`;
  await fence("renamed", "fence");
  expect(await triggers("renamed")).toHaveLength(2);
  await sql`update renamed set fence = 5`;
  await expect(sql`update renamed set fence = 4`).rejects.toMatchObject({ code: "LH006", column_name: "fence" });
  await unfence("renamed", "old_fence");
  await sql`update renamed set old_fence = 1`;
  await expect(sql`update renamed set fence = 4`).rejects.toMatchObject(tooOld);
});

test("other triggers fire before it, so that it sees what they make of the row", async () => {
  await sql`create table changed (id int, fence bigint)`;
  await sql.unsafe(`create function lower_fence() returns trigger language plpgsql as
    $$ begin new.fence := new.fence - 10; return new; end $$`);
  await sql.unsafe("create trigger z_lowers before update on changed for each row execute function lower_fence()");
  await fence("changed", "fence");
  await sql`insert into changed values (1, 5)`;
  await expect(sql`update changed set fence = 6`).rejects.toMatchObject(tooOld);
});

test("partitions are fenced, old and new, also when a row moves or is written past the parent", async () => {
  await sql.unsafe(`
    create table parts (id int, place text, fence bigint) partition by list (place);
    create table parts_a partition of parts for values in ('a');
    create table parts_b (fence bigint, place text, id int);
    alter table parts attach partition parts_b for values in ('b');
    create table parts_c partition of parts for values in ('c') partition by range (id);
    create table parts_c1 partition of parts_c for values from (0) to (100)`);
  await fence("parts", "fence");
  await sql.unsafe("create table parts_d partition of parts for values in ('d')");
  for (const place of ["a", "b", "c", "d"]) await sql`insert into parts values (1, ${place}, 5)`;

  for (const place of ["a", "b", "c", "d"]) {
    await expect(sql`update parts set fence = 4 where place = ${place}`, place).rejects.toMatchObject(tooOld);
    await sql`update parts set fence = 6 where place = ${place}`;
  }
  await expect(sql`update parts_b set fence = 5`).rejects.toMatchObject({
    code: "LH006",
    message: "fence 5 is too old for a row of public.parts_b",
    column_name: "fence",
  });
  await expect(sql`update parts_c1 set fence = 5`).rejects.toMatchObject(tooOld);
  // a move is a delete and an insert, after the update's own triggers
  await expect(sql`update parts set place = 'b', fence = 5 where place = 'a'`).rejects.toMatchObject(tooOld);
  await sql`update parts set place = 'b', fence = 7 where place = 'a'`;
  expect([...(await sql`select fence from parts_b order by fence`)]).toEqual([{ fence: "6" }, { fence: "7" }]);

  await fence("parts_a", "fence");
  expect(await triggers("parts_a")).toHaveLength(1);
  await expect(unfence("parts_a", "fence")).rejects.toMatchObject({
    code: "LH003",
    message: expect.stringContaining("partition"),
    hint: expect.stringContaining("unfence_table('public.parts', 'fence')"),
  });
  await unfence("parts", "fence");
  await sql`update parts set fence = 1`;
});

test("children of the old kind are not fenced with their parent, and that is said", async () => {
  const notices: string[] = [];
  const client = postgres(database.url, { max: 1, onnotice: ({ message }) => notices.push(String(message)) });
  await client.unsafe("create table elder (id int, fence bigint); create table younger () inherits (elder)");
  await client.unsafe("select leasehold.fence_table('elder', 'fence')");
  await client.unsafe("select leasehold.guard_table('elder', '''a''')");
  await client.end();
  expect(notices.filter((text) => text.includes("not protected with it: public.younger"))).toHaveLength(2);
});

test("on conflict, copy, merge, delete and truncate: what they can lower is refused", async () => {
  await sql`create table ways (id int primary key, fence bigint)`;
  await fence("ways", "fence");
  await using session = await openSession(database);
  await session.run("insert into ways values (1, 5), (2, 5)");
  const upsert = (fence: number) =>
    session.run(`insert into ways values (1, ${fence}) on conflict (id) do update set fence = excluded.fence`);
  await upsert(6);
  await expect(upsert(5)).rejects.toMatchObject(tooOld);
  await session.run("insert into ways values (1, 1) on conflict do nothing");

  if (server?.version >= 150_000) {
    const merge = (fence: number) =>
      session.run(`merge into ways w using (values (1, ${fence})) v (id, fence) on w.id = v.id
        when matched then update set fence = v.fence when not matched then insert values (v.id, v.fence)`);
    await merge(7);
    await expect(merge(6)).rejects.toMatchObject(tooOld);
  }

  // these bring rows in and out, where there is nothing to compare with
  const writer = await session.sql`copy ways (id, fence) from stdin`.writable();
  await new Promise<void>((resolve, reject) => {
    writer.on("error", reject);
    writer.on("finish", () => resolve());
    writer.end("9\t1\n");
  });
  await session.run("delete from ways where id = 1; insert into ways values (1, 1); truncate ways");
  expect(await session.run("select from ways")).toEqual([]);
});

test("a foreign key that writes the fence obeys as well", async () => {
  await sql.unsafe(`
    create table leaders (fence bigint primary key);
    create table followers (id int, fence bigint references leaders on update cascade on delete set null);
    insert into leaders values (5);
    insert into followers values (1, 5)`);
  await fence("followers", "fence");
  await sql`update leaders set fence = 6`;
  await expect(sql`update leaders set fence = 4`).rejects.toMatchObject(tooOld);
  await expect(sql`delete from leaders`).rejects.toMatchObject(tooOld);
  expect([...(await sql`select fence from followers`)]).toEqual([{ fence: "6" }]);
});

test("it comes back from a dump, found by what it does and not by the number of its column", async () => {
  await sql`create table dumped (gone int, id int, fence bigint)`;
  await sql`alter table dumped drop column gone`;
  await fence("dumped", "fence");
  // what pg_dump writes, loaded where the column has another number
  const [trigger] = await sql`select pg_get_triggerdef(oid) as text from pg_trigger where tgrelid = 'dumped'::regclass`;
  await sql`create schema restored`;
  await sql`create table restored.dumped (id int, fence bigint)`;
  await sql.unsafe(trigger?.text.replace(" ON public.dumped ", " ON restored.dumped "));
  await fence("restored.dumped", "fence");
  expect(await triggers("restored.dumped")).toHaveLength(1);
  await unfence("restored.dumped", "fence");
  expect(await triggers("restored.dumped")).toEqual([]);
});

describe("what cannot be fenced is told", () => {
  const refused = (target: string, column: string, error: object) =>
    expect(
      sql.unsafe(`select leasehold.fence_table(${target}, ${column})`),
      `${target} ${column}`,
    ).rejects.toMatchObject(error);

  test("columns", async () => {
    await sql.unsafe(`create table wrong (id int, small integer, text text, number numeric, fence bigint,
      made bigint generated always as (id * 2) stored)`);
    const hint = (text: string) => expect.stringContaining(text);
    await refused("'wrong'", "'missing'", {
      code: "LH003",
      message: "public.wrong has no column missing",
      hint: hint("alter table public.wrong add column missing bigint;"),
    });
    await refused("'wrong'", "null", {
      code: "LH003",
      hint: hint("alter table public.wrong add column fence bigint;"),
    });
    await refused("'wrong'", "'ctid'", { code: "LH003" });
    await refused("'wrong'", "'Fence'", { code: "LH003", message: 'public.wrong has no column "Fence"' });
    for (const column of ["small", "text", "number"]) {
      await refused("'wrong'", `'${column}'`, {
        code: "LH003",
        message: expect.stringMatching(/a fence is a bigint$/),
        hint: hint(`alter table public.wrong alter column ${column} type bigint;`),
      });
    }
    await refused("'wrong'", "'made'", { code: "LH003", message: expect.stringContaining("is generated") });
    await sql`alter table wrong drop column small`;
    await refused("'wrong'", "'small'", { code: "LH003" });
    await expect(unfence("wrong", "typo")).rejects.toMatchObject({ code: "LH003" });
  });

  test("relations that are no tables", async () => {
    await sql.unsafe(`
      create table under_it (id int, fence bigint);
      create view a_view as select * from under_it;
      create materialized view a_matview as select * from under_it;
      create sequence a_sequence;
      create foreign data wrapper nowhere;
      create server nowhere foreign data wrapper nowhere;
      create foreign table a_foreign_table (id int, fence bigint) server nowhere`);
    for (const [name, kind] of [
      ["a_view", "a view"],
      ["a_matview", "a materialized view"],
      ["a_sequence", "a sequence"],
      ["a_foreign_table", "a foreign table"],
    ]) {
      await refused(`'${name}'`, "'fence'", {
        code: "LH003",
        message: `public.${name} is not a table but ${kind}`,
        hint: expect.stringMatching(/./),
      });
    }
    await refused("'no_such_table'", "'fence'", { code: "42P01" });
    await refused("4711", "'fence'", { code: "LH003", message: expect.stringContaining("4711") });
    await refused("null", "'fence'", { code: "LH003" });
    // through a view the table's own triggers fire
    await fence("under_it", "fence");
    await sql`insert into a_view values (1, 5)`;
    await expect(sql`update a_view set fence = 4`).rejects.toMatchObject(tooOld);
  });

  test("a table of somebody else", async () => {
    await using session = await openSession(database);
    await sql`create table not_theirs (id int, fence bigint)`;
    await sql.unsafe(`do $$ begin create role fence_stranger_${database.name}; end $$`);
    await sql`select leasehold.grant_usage(${`fence_stranger_${database.name}`})`;
    await session.run(`set role fence_stranger_${database.name}`);
    await expect(session.run("select leasehold.fence_table('not_theirs', 'fence')")).rejects.toMatchObject({
      code: "42501",
    });
    await session.run("reset role");
    await sql.unsafe(`drop owned by fence_stranger_${database.name}; drop role fence_stranger_${database.name}`);
  });
});

async function fence(table: string, column: string): Promise<void> {
  await sql`select leasehold.fence_table(${table}::text::regclass, ${unquoted(column)})`;
}

async function unfence(table: string, column: string): Promise<void> {
  await sql`select leasehold.unfence_table(${table}::text::regclass, ${unquoted(column)})`;
}

function unquoted(identifier: string): string {
  return identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier;
}

async function nameOf(table: string): Promise<string> {
  return (await sql`select relname::text as name from pg_class where oid = ${table}::text::regclass`)[0]?.name;
}

async function triggers(table: string): Promise<unknown[]> {
  const rows = await sql`select oid, tgname::text as name from pg_trigger where tgrelid = ${table}::text::regclass`;
  return [...rows];
}
