// docs/upgrade.md: what it runs to find protected tables, and to be rid of Leasehold.
import { expect, test } from "vitest";
import { NotMigratedError } from "../../src/index.js";
import { createDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { blocksOf, readPage } from "../support/pages.js";

const [find, drop] = blocksOf(readPage("docs/upgrade.md")).filter(({ language }) => language === "sql");

test("protected tables are found; when the schemas are dropped nothing is left, and all may write", async () => {
  const database = await createDatabase();
  const { sql } = database;
  await createRole(database, { grantUsage: true });
  await sql.unsafe(`
    create table accounts (id bigint primary key, fence bigint not null default 0);
    create table orders (id bigint primary key);
    create table bare (id bigint primary key);
    insert into accounts values (7, 33);
    select leasehold.fence_table('accounts', 'fence');
    select leasehold.guard_table('orders', $$'order:' || id$$)`);
  await expect(sql`insert into orders values (42)`).rejects.toMatchObject({ code: "LH005" });

  const found = await sql.unsafe(find?.text ?? "");
  expect(new Set(found.map(({ protected_table }) => protected_table))).toEqual(new Set(["accounts", "orders"]));

  await using locker = openLocker(database, { presence: "off" });
  await locker.tryWithLock("order:42", () => undefined);
  await sql.unsafe(drop?.text ?? "");
  await sql`insert into orders values (42)`;
  await sql`update accounts set fence = 1`;
  const left = await sql`
    select from pg_catalog.pg_namespace where nspname like 'leasehold%'
    union all select from pg_catalog.pg_default_acl
    union all select from pg_catalog.pg_event_trigger`;
  expect(left).toHaveLength(0);
  await expect(locker.tryAcquire("order:42")).rejects.toBeInstanceOf(NotMigratedError);
});
