// Tables that are guarded for shares, and those that are not.
import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { openGuard, openSession } from "./session.js";

const database = await createDatabase();
const { sql } = database;

test("a guard of a share does not write what is guarded by the key alone, and the refusal says what does", async () => {
  await sql`create table accounts (id int primary key)`;
  await sql`select leasehold.guard_table('accounts', $$'account:' || id$$)`;
  await using locker = openLocker(database);
  const shared = await locker.acquire("account:1", { shared: true });
  await using session = await openGuard(database, shared);
  expect(await session.isGuarded("account:1")).toBe(false);
  await expect(session.run("insert into accounts values (1)")).rejects.toMatchObject({
    code: "LH005",
    hint: expect.stringContaining(
      "select leasehold.guard_table('public.accounts', '''account:'' || id', shared => true);",
    ),
  });
  await session.rollback();
  await shared.release();
  const alone = await locker.acquire("account:1");
  await using exclusive = await openGuard(database, alone);
  await exclusive.run("insert into accounts values (1)");
  await exclusive.commit();
  await alone.release();
});

test("asked for by name it does, beside others who share the key, and not without a guard", async () => {
  await sql`create table parts (key text, writer int)`;
  await sql`select leasehold.guard_table('parts', 'key', shared => true)`;
  await using locker = openLocker(database);
  const [one, two] = [await locker.acquire("p", { capacity: 2 }), await locker.acquire("p", { capacity: 2 })];
  await using first = await openGuard(database, one);
  await using second = await openGuard(database, two);
  const [row] = await first.run(
    "select leasehold.is_guarded('p', shared => true) as shared, leasehold.is_guarded('p') as alone",
  );
  expect(row).toEqual({ shared: true, alone: false });
  await first.run("insert into parts values ('p', 1)");
  await second.run("insert into parts values ('p', 2)");
  await expect(second.run("insert into parts values ('q', 2)")).rejects.toMatchObject({ code: "LH005" });
  await second.rollback();
  // what has ended since its guard is guarded until the transaction ends
  await one.release();
  expect((await first.run("select leasehold.is_guarded('p', true) as shared"))[0]).toEqual({ shared: true });
  expect(await locker.tryAcquire("p")).toBeNull();
  await first.run("insert into parts values ('p', 3)");
  await first.commit();
  await two.release();

  await using bare = await openSession(database);
  await expect(bare.run("insert into parts values ('p', 4)")).rejects.toMatchObject({ code: "LH005" });
  // one who has the key alone may, too
  const alone = await locker.acquire("p");
  await using exclusive = await openGuard(database, alone);
  await exclusive.run("insert into parts values ('p', 5)");
  await exclusive.commit();
  await alone.release();
  expect((await sql`select writer from parts order by writer`).map(({ writer }) => writer)).toEqual([1, 3, 5]);
});

test("a savepoint that was rolled back, and a setting that somebody wrote, guard nothing", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("s", { shared: true });
  await using session = await openSession(database);
  await session.begin();
  await session.run("savepoint before");
  await session.guard("s", lock.fence);
  await session.run("rollback to before");
  const asked = "select leasehold.is_guarded('s', true) as guarded";
  expect((await session.run(asked))[0]).toEqual({ guarded: false });
  await session.guard("s", lock.fence);
  const [{ name, value }] = (await session.run(
    "select name, current_setting(name) as value from (select leasehold_internal._guards_setting('s') as name) n",
  )) as unknown as [{ name: string; value: string }];
  await session.commit();
  await lock.release();
  // another transaction has another number, and the share is gone
  await session.begin();
  await session.sql`select set_config(${name}, ${value}, true)`;
  expect((await session.run(asked))[0]).toEqual({ guarded: false });
  await session.sql`select set_config(${name}, jsonb_set(${value}::text::jsonb, '{xid}', to_jsonb(pg_current_xact_id()::text))::text, true)`;
  expect((await session.run(asked))[0]).toEqual({ guarded: false });
  await session.rollback();
});

test("called again it changes what counts; null is refused", async () => {
  await sql`create table changing (key text)`;
  const arguments_ = async () =>
    (
      await sql`select tgargs from pg_trigger where tgrelid = 'changing'::regclass and tgname = 'zz_leasehold_guard'`
    ).map(({ tgargs }) => String(tgargs).split("\0").filter(Boolean));
  await sql`select leasehold.guard_table('changing', 'key', true)`;
  expect(await arguments_()).toEqual([["key", "changing", "shared"]]);
  const [before] =
    await sql`select oid from pg_trigger where tgrelid = 'changing'::regclass and tgname = 'zz_leasehold_guard'`;
  await sql`select leasehold.guard_table('changing', 'key', true)`;
  const [after] =
    await sql`select oid from pg_trigger where tgrelid = 'changing'::regclass and tgname = 'zz_leasehold_guard'`;
  expect(after).toEqual(before);
  await sql`select leasehold.guard_table('changing', 'key')`;
  expect(await arguments_()).toEqual([["key", "changing"]]);
  await expect(sql`select leasehold.guard_table('changing', 'key', null)`).rejects.toMatchObject({ code: "LH003" });
});
