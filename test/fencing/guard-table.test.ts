import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Lock } from "../../src/index.js";
import { createDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { expire, openSession, type Session } from "./session.js";

const database = await createDatabase();
const { sql } = database;
const [server] = await sql`select current_setting('server_version_num')::int as version`;

const unguarded = (key: string) => ({
  code: "LH005",
  message: expect.stringMatching(new RegExp(`this transaction does not guard the key '${key}'$`)),
  hint: `Run this first, in the same transaction: select leasehold.guard('${key}', <fence>);`,
});

describe.each([
  ["plain", "accounts", "id", "'account:' || id"],
  ["qualified by the table", "accounts", "id", "'account:' || accounts.id"],
  ["quoted and mixed case", '"Konten & Co"', '"Id"', `'account:' || "Konten & Co"."Id"`],
  ["in a schema", 'app."Accounts"', '"account"', `concat('account:', "Accounts"."account")`],
  [
    "names and texts with quotes, percent signs and backslashes",
    `app."it's ""100 %"" \\"`,
    '"%I"',
    `replace('100\\%%I', '100\\%%I', 'account:') || ("%I" % 10) -- it's`,
  ],
])("a table with names %s", (_, table, column, key) => {
  test("is written under the key of the row alone", async () => {
    await using locker = openLocker(database, { presence: "off" });
    await sql.unsafe("create schema if not exists app");
    await sql.unsafe(`drop table if exists ${table}; create table ${table} (${column} int primary key, balance int)`);
    await sql.unsafe(`insert into ${table} values (1, 0), (2, 0)`);
    await guardTable(table, key);
    await using lock = await locker.acquire("account:1");
    await using session = await openSession(database);
    const writes = (id: number) => [
      `update ${table} set balance = 9 where ${column} = ${id}`,
      `delete from ${table} where ${column} = ${id}`,
      `delete from ${table} where ${column} = ${id}; insert into ${table} values (${id}, 9)`,
    ];

    // without any guard
    for (const write of writes(1)) {
      await expect(session.run(write)).rejects.toMatchObject(unguarded("account:1"));
    }
    await expect(session.run(`insert into ${table} values (3, 0)`)).rejects.toMatchObject(unguarded("account:3"));

    // under the guard of another key
    for (const write of writes(2)) {
      await begin(session, lock);
      await expect(session.run(write)).rejects.toMatchObject(unguarded("account:2"));
      await session.rollback();
    }

    // under its guard
    for (const write of writes(1)) {
      await begin(session, lock);
      await session.run(write);
      await session.rollback();
    }
    // a row that moves belongs to both
    await begin(session, lock);
    await expect(session.run(`update ${table} set ${column} = 5 where ${column} = 1`)).rejects.toMatchObject(
      unguarded("account:5"),
    );
    await session.rollback();
    await begin(session, lock);
    await expect(
      session.run(`delete from ${table} where ${column} = 1; update ${table} set ${column} = 1 where ${column} = 2`),
    ).rejects.toMatchObject(unguarded("account:2"));
    await session.rollback();

    expect([...(await sql.unsafe(`select balance from ${table}`))]).toEqual([{ balance: 0 }, { balance: 0 }]);
    await unguardTable(table);
    await session.run(`update ${table} set balance = 1; truncate ${table}`);
    expect(await triggers(table)).toEqual([]);
  });
});

test("a writer that has lost the lock is refused, one that still guards when it has ended is not", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  await sql`create table late (key text primary key, n int)`;
  await sql`insert into late values ('late', 0)`;
  await guardTable("late", "key");
  const lock = await locker.acquire("late");
  await using session = await openSession(database);
  await begin(session, lock);
  await expire(database, "late");
  await session.run("update late set n = 1");
  await session.commit();

  await session.begin();
  await expect(session.guard("late", lock.fence)).rejects.toMatchObject({ code: "LH001" });
  await expect(session.run("update late set n = 2")).rejects.toMatchObject({ code: "25P02" });
  await session.rollback();
  await expect(session.run("update late set n = 2")).rejects.toMatchObject(unguarded("late"));
  expect([...(await sql`select n from late`)]).toEqual([{ n: 1 }]);
  await lock.release().catch(() => undefined);
});

test("a guard that was rolled back to a savepoint does not count", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await sql`create table back (key text primary key, n int)`;
  await guardTable("back", "key");
  await using lock = await locker.acquire("back");
  await using session = await openSession(database);
  await session.run("begin; savepoint s");
  await session.guard("back", lock.fence);
  await session.run("insert into back values ('back', 1)");
  await session.run("rollback to s");
  await expect(session.run("insert into back values ('back', 2)")).rejects.toMatchObject(unguarded("back"));
  await session.run("rollback to s");
  await session.guard("back", lock.fence);
  await session.run("insert into back values ('back', 3)");
  await session.commit();
  expect([...(await sql`select n from back`)]).toEqual([{ n: 3 }]);
});

test("a row without a key cannot be written", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await sql`create table keyless (id int, key text)`;
  await guardTable("keyless", "key");
  await using lock = await locker.acquire("a");
  await using session = await openSession(database);
  for (const write of [
    "insert into keyless values (1, null)",
    "insert into keyless values (1, 'a'); update keyless set key = null",
  ]) {
    await begin(session, lock);
    await expect(session.run(write)).rejects.toMatchObject({
      code: "LH005",
      message: "a row of public.keyless cannot be written: it has no key",
      detail: expect.stringContaining("key is null"),
    });
    await session.rollback();
  }
});

test("the key is that of the row as it is written, with what triggers and generated columns make of it", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await sql`create table made (id int, key text, lock_key text generated always as ('made:' || id) stored)`;
  await sql.unsafe(`create function set_key() returns trigger language plpgsql as
    $$ begin new.key := 'trigger:' || new.id; return new; end $$`);
  await sql.unsafe("create trigger zzz_sets before insert or update on made for each row execute function set_key()");
  await using byTrigger = await locker.acquire("trigger:1");
  await using generated = await locker.acquire("made:1");
  await using session = await openSession(database);
  for (const [key, lock, other] of [
    ["key", byTrigger, generated],
    ["lock_key", generated, byTrigger],
  ] as const) {
    await guardTable("made", key);
    await begin(session, other);
    await expect(session.run("insert into made values (1, 'mine')")).rejects.toMatchObject(unguarded(lock.key));
    await session.rollback();
    await begin(session, lock);
    await session.run("insert into made values (1, 'mine'); update made set key = 'mine'; delete from made");
    await session.commit();
  }
});

test.runIf(server?.version >= 180_000)(
  "a virtual generated column, which triggers do not see, is refused",
  async () => {
    await sql.unsafe("create table virtual (id int, lock_key text generated always as ('virtual:' || id) virtual)");
    await expect(guardTable("virtual", "lock_key")).rejects.toMatchObject({
      code: "LH003",
      hint: expect.stringContaining("Virtual generated columns have no value in a trigger"),
    });
    await guardTable("virtual", "'virtual:' || id");
    await expect(sql`insert into virtual values (1)`).rejects.toMatchObject(unguarded("virtual:1"));
  },
);

test("on conflict, merge, copy, a writing view and with-queries all come by the trigger", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await sql`create table ways (key text primary key, n int default 0)`;
  await sql`insert into ways values ('a'), ('b')`;
  await sql`create view ways_view as select * from ways`;
  await guardTable("ways", "key");
  await using lock = await locker.acquire("a");
  await using session = await openSession(database);
  const ways = (key: string) => [
    `insert into ways values ('${key}') on conflict (key) do update set n = 1`,
    `update ways_view set n = 1 where key = '${key}'`,
    `with w as (update ways set n = 1 where key = '${key}' returning key) select * from w`,
    `with w as (delete from ways where key = '${key}' returning *) select * from w`,
    ...(server?.version >= 150_000
      ? [
          `merge into ways w using (values ('${key}')) v (key) on w.key = v.key when matched then update set n = 1`,
          `merge into ways w using (values ('${key}')) v (key) on w.key = v.key when matched then delete`,
        ]
      : []),
  ];
  for (const [index, way] of ways("a").entries()) {
    await begin(session, lock);
    await session.run(way);
    await session.rollback();
    await begin(session, lock);
    await expect(session.run(ways("b")[index] as string), way).rejects.toMatchObject(unguarded("b"));
    await session.rollback();
  }
  if (server?.version >= 150_000) {
    const merge = session.run(`merge into ways w using (values ('c')) v (key) on w.key = v.key
      when not matched then insert values (v.key)`);
    await expect(merge).rejects.toMatchObject(unguarded("c"));
  }
  // what writes nothing is not asked for a key
  await session.run("insert into ways values ('a') on conflict do nothing; update ways set n = 1 where false");

  const copy = async (line: string) => {
    await begin(session, lock);
    (await session.sql`copy ways (key) from stdin`.writable()).end(line);
    await setImmediate(); // until the end is sent
  };
  await copy("c\n");
  // postgres.js keeps the error of a copy to itself: the transaction is aborted
  await expect(session.run("select 1")).rejects.toMatchObject({ code: "25P02" });
  await session.rollback();
  await begin(session, lock);
  await session.run("delete from ways where key = 'a'");
  await session.commit();
  await copy("a\n");
  await session.commit();
  expect([...(await sql`select key from ways order by key`)]).toEqual([{ key: "a" }, { key: "b" }]);
});

test("a table cannot be truncated, alone, with others, in a cascade, by partition or with restart", async () => {
  await sql.unsafe(`
    create table kept (key text primary key);
    create table neighbour (key text);
    create table referring (key text references kept);
    create table kept_parts (key text, place int) partition by list (place);
    create table kept_part_1 partition of kept_parts for values in (1) partition by list (key);
    create table kept_part_1a partition of kept_part_1 for values in ('a')`);
  await guardTable("kept", "key");
  await guardTable("kept_parts", "key");
  const truncations = [
    "kept cascade",
    "neighbour, kept, referring",
    "kept, referring restart identity",
    "kept_parts",
    "kept_part_1",
    "kept_part_1a",
    "only kept_part_1a",
  ];
  for (const what of truncations) {
    await expect(sql.unsafe(`truncate ${what}`), what).rejects.toMatchObject({
      code: "LH005",
      message: expect.stringMatching(/ is a guarded table: it cannot be truncated$/),
      hint: expect.stringContaining("unguard_table"),
    });
  }
  // one that comes later has its trigger for rows by itself, that for truncate with the next call
  await sql`create table kept_part_2 partition of kept_parts for values in (2)`;
  await expect(sql`insert into kept_parts values ('x', 2)`).rejects.toMatchObject(unguarded("x"));
  await sql`truncate kept_part_2`;
  await guardTable("kept_parts", "key");
  await expect(sql`truncate kept_part_2`).rejects.toMatchObject({ code: "LH005" });
  await unguardTable("kept_parts");
  await sql`truncate kept_parts, kept_part_1a`;
});

test("partitions are guarded, with columns in another order, also when a row moves or is written past the parent", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await sql.unsafe(`
    create table moved (gone int, key text, place text) partition by list (place);
    alter table moved drop column gone;
    create table moved_a partition of moved for values in ('a');
    create table moved_b (place text, key text);
    alter table moved attach partition moved_b for values in ('b')`);
  await guardTable("moved", "moved.key");
  await using lock = await locker.acquire("k");
  await using session = await openSession(database);
  for (const write of [
    "insert into moved values ('k', 'a'), ('k', 'b')",
    "insert into moved_b (key, place) values ('k', 'b')",
    "update moved set place = 'b' where place = 'a'",
    "update moved_b set key = 'k'",
    "delete from moved_b",
  ]) {
    await begin(session, lock);
    await session.run(write);
    await session.commit();
    if (!write.startsWith("insert")) continue;
    await expect(session.run(write.replaceAll("'k'", "'other'")), write).rejects.toMatchObject(unguarded("other"));
  }
  await begin(session, lock);
  await session.run("insert into moved values ('k', 'a')");
  await session.commit();
  await expect(session.run("update moved set place = 'b'")).rejects.toMatchObject(unguarded("k"));
  await begin(session, lock);
  await expect(session.run("update moved set place = 'b', key = 'other'")).rejects.toMatchObject(unguarded("other"));
  await session.rollback();

  for (const call of ["guard_table('moved_a', 'key')", "unguard_table('moved_a')"]) {
    await expect(sql.unsafe(`select leasehold.${call}`)).rejects.toMatchObject({
      code: "LH003",
      message: expect.stringContaining("is a partition, and guarded through the table"),
      hint: expect.stringContaining("'public.moved'"),
    });
  }
  // one that leaves goes without, but for truncate, which can be taken off
  await sql`alter table moved detach partition moved_b`;
  await sql`update moved_b set key = 'free'`;
  await unguardTable("moved_b");
  await sql`truncate moved_b`;
});

test("what a foreign key does to a guarded table needs its guard", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await sql.unsafe(`
    create table owners (id int primary key);
    create table owned (key text, owner int references owners on delete cascade on update cascade);
    insert into owners values (1), (2);
    insert into owned values ('one', 1), ('two', 2)`);
  await guardTable("owned", "key");
  await using lock = await locker.acquire("one");
  await using session = await openSession(database);
  await begin(session, lock);
  await session.run("update owners set id = 11 where id = 1; delete from owners where id = 11");
  await session.commit();
  await begin(session, lock);
  await expect(session.run("delete from owners where id = 2")).rejects.toMatchObject(unguarded("two"));
  await session.rollback();
  await expect(sql`update owners set id = 22 where id = 2`).rejects.toMatchObject(unguarded("two"));
  expect([...(await sql`select key from owned`)]).toEqual([{ key: "two" }]);
});

test("putting it on, changing and taking it off is idempotent, and touches nothing where nothing is to do", async () => {
  await sql`create table twice (id int, key text)`;
  await unguardTable("twice");
  await guardTable("twice", "key");
  const before = await triggers("twice");
  expect(before).toHaveLength(2);
  await using reader = await openSession(database);
  await reader.run("begin; select from twice");
  await sql.begin(async (tx) => {
    await tx`set local lock_timeout = '100ms'`;
    await tx`select leasehold.guard_table('twice', 'key')`;
  });
  await reader.commit();
  expect(await triggers("twice")).toEqual(before);

  await guardTable("twice", "'id:' || id");
  expect(await triggers("twice")).toHaveLength(2);
  await expect(sql`insert into twice values (1, 'x')`).rejects.toMatchObject(unguarded("id:1"));
  await sql`alter table twice disable trigger user`;
  await guardTable("twice", "'id:' || id");
  await expect(sql`insert into twice values (1, 'x')`).rejects.toMatchObject(unguarded("id:1"));
  await sql`alter table twice rename to thrice`;
  await expect(sql`insert into thrice values (1, 'x')`).rejects.toMatchObject(unguarded("id:1"));
  await unguardTable("thrice");
  await unguardTable("thrice");
  await sql`insert into thrice values (1, 'x')`;

  const sessions = await Promise.all(Array.from({ length: 6 }, () => openSession(database)));
  await Promise.all(sessions.map((session) => session.run("select leasehold.guard_table('thrice', 'key')")));
  expect(await triggers("thrice")).toHaveLength(2);
  await Promise.all(sessions.map((session) => session[Symbol.asyncDispose]()));
});

test("a column that is renamed stops every write, until the expression is given again", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await sql`create table renamed (key text)`;
  await guardTable("renamed", "key");
  await sql`alter table renamed rename column key to lock_key`;
  await using lock = await locker.acquire("a");
  await using session = await openSession(database);
  await begin(session, lock);
  await expect(session.run("insert into renamed values ('a')")).rejects.toMatchObject({ code: "42703" });
  await session.rollback();
  await guardTable("renamed", "lock_key");
  await begin(session, lock);
  await session.run("insert into renamed values ('a')");
  await session.commit();
});

test.each([
  ["no such column", "missing", /column "missing" does not exist/],
  ["no text", "id", /is of type integer, a key is a text/],
  ["no text either", "'{}'::jsonb", /is of type jsonb, a key is a text/],
  ["not SQL", "key ||", /syntax error/],
  ["empty", "", /is empty/],
  ["blank", " \n\t", /is empty/],
  ["null", null, /is empty/],
  ["no such function", "my_key(id)", /function my_key\(integer\) does not exist/],
  ["another table's column", "leases.key", /missing FROM-clause entry/],
  ["a parameter", "$1", /there is no parameter \$1/],
  ["parentheses that close too early", "key) as x, (select 1", /./],
  ["two statements", "key; drop table bad_key", /syntax error/],
  ["an unfinished text", "'account:", /unterminated/],
  ["an unfinished comment", "key /*", /unterminated/],
])("an expression that is %s is refused at once", async (what, key, problem) => {
  await sql`create table if not exists bad_key (id int, key text)`;
  const error = await sql`select leasehold.guard_table('bad_key', ${key})`.catch((error: unknown) => error);
  expect(error, what).toMatchObject({ code: "LH003", hint: expect.stringMatching(/./) });
  const { message, detail = "" } = error as { message: string; detail?: string };
  expect(`${message}\n${detail}`).toMatch(problem);
  expect(await triggers("bad_key")).toEqual([]);
});

test("an expression is not run when it is given: it may object to what no row has", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await sql.unsafe(`create function key_of(id int) returns text language plpgsql immutable as
    $$ begin if id is null then raise 'no id'; end if; return 'f:' || id; end $$`);
  await sql`create table by_function (id int not null)`;
  await guardTable("by_function", "public.key_of(id)");
  await using lock = await locker.acquire("f:1");
  await using session = await openSession(database);
  await begin(session, lock);
  await session.run("insert into by_function values (1)");
  await session.commit();
});

test("relations that are no tables are refused, and tables of somebody else", async () => {
  await sql.unsafe(`
    create table plain (key text);
    create view plain_view as select * from plain;
    create foreign data wrapper nowhere;
    create server nowhere foreign data wrapper nowhere;
    create foreign table plain_foreign (key text) server nowhere`);
  for (const [name, kind] of [
    ["plain_view", "a view"],
    ["plain_foreign", "a foreign table"],
  ] as const) {
    await expect(guardTable(name, "key")).rejects.toMatchObject({
      code: "LH003",
      message: expect.stringContaining(kind),
    });
    await expect(unguardTable(name)).rejects.toMatchObject({ code: "LH003" });
  }
  const role = await createRole(database, { grantUsage: true });
  await using session = await openSession(role.url);
  await expect(session.run("select leasehold.guard_table('plain', 'key')")).rejects.toMatchObject({ code: "42501" });
  await sql.unsafe(`grant select on plain to "${role.name}"`);
  await expect(session.run("select leasehold.guard_table('plain', 'key')")).rejects.toMatchObject({ code: "42501" });
  expect(await triggers("plain")).toEqual([]);
});

test("who has no right to lock is told what is missing, too", async () => {
  await using locker = openLocker(database, { presence: "off" });
  const clerk = await createRole(database);
  const app = await createRole(database, { grantUsage: true });
  await sql`create table shared (key text)`;
  await sql.unsafe(`grant select, insert on shared to "${clerk.name}", "${app.name}"`);
  await guardTable("shared", "key");
  await using lock = await locker.acquire("a");
  await using stranger = await openSession(clerk.url);
  await expect(stranger.run("insert into shared values ('a')")).rejects.toMatchObject(unguarded("a"));
  await using session = await openSession(app.url);
  await begin(session, lock);
  await session.run("insert into shared values ('a')");
  await session.commit();
});

test.each(["repeatable read", "serializable"] as const)("under %s", async (isolation) => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  await sql`create table if not exists isolated (key text, n int)`;
  await guardTable("isolated", "key");
  const lock = await locker.acquire("a");
  await using session = await openSession(database);
  await session.begin(isolation);
  await session.guard("a", lock.fence);
  await session.run("insert into isolated values ('a', 1)");
  await lock.renew();
  await lock.release();
  await session.run("update isolated set n = 2");
  await session.commit();
});

async function begin(session: Session, { key, fence }: Lock): Promise<void> {
  await session.begin();
  await session.guard(key, fence);
}

async function guardTable(table: string, key: string): Promise<void> {
  await sql`select leasehold.guard_table(${table}::text::regclass, ${key})`;
}

async function unguardTable(table: string): Promise<void> {
  await sql`select leasehold.unguard_table(${table}::text::regclass)`;
}

async function triggers(table: string): Promise<unknown[]> {
  const rows =
    await sql`select oid from pg_trigger where tgrelid = ${table}::text::regclass and not tgisinternal order by 1`;
  return [...rows];
}
