// leasehold/drizzle: what it says in SQL, run by Postgres over both drivers.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { and, eq, type SQL, sql } from "drizzle-orm";
import { drizzle as drizzleNodePostgres } from "drizzle-orm/node-postgres";
import { bigint, integer, PgDialect, pgSchema, pgTable, text } from "drizzle-orm/pg-core";
import { drizzle as drizzlePostgresJs } from "drizzle-orm/postgres-js";
import { migrate } from "drizzle-orm/postgres-js/migrator";
import pg from "pg";
import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { fencedBy, fenceTable, guardTable, unfenceTable, unguardTable } from "../../src/drizzle.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";

const database = await createDatabase();
const openBoth = () => {
  const client = postgres(database.url, { max: 2, onnotice: () => {} });
  const pool = new pg.Pool({ connectionString: database.url, max: 2 });
  return { client, pool, "postgres.js": drizzlePostgresJs(client), "node-postgres": drizzleNodePostgres(pool) };
};
/** Of each test. */
let over: ReturnType<typeof openBoth>;

const accounts = pgTable("accounts", {
  id: integer().primaryKey(),
  balance: bigint({ mode: "bigint" }).notNull(),
  fence: bigint({ mode: "bigint" }).notNull().default(0n),
  lastFence: bigint("Last Fence", { mode: "number" }),
  small: integer().default(0),
});
const odd = pgSchema('My "Schema"').table("Order's", {
  id: text("The Id").primaryKey(),
  region: text(),
  fence: bigint("select", { mode: "bigint" }),
});

beforeEach(async () => {
  await database.sql.unsafe(`
    drop table if exists accounts, user_data;
    create table accounts (id int primary key, balance bigint not null, fence bigint not null default 0, "Last Fence" bigint, small int default 0);
    insert into accounts values (1, 100), (2, 200);
    drop schema if exists "My ""Schema""" cascade;
    create schema "My ""Schema""";
    create table "My ""Schema"""."Order's" ("The Id" text primary key, region text, "select" bigint);
    insert into "My ""Schema"""."Order's" values ('a', 'eu', 5);`);
});

beforeEach(() => {
  over = openBoth();
});

afterEach(async () => {
  await over.client.end({ timeout: 1 });
  await over.pool.end();
});

/** The SQLSTATE that this fails with, however it is wrapped; null when it does not. */
const stateOf = (work: PromiseLike<unknown>) =>
  Promise.resolve(work).then(
    () => null,
    (error: { cause?: { code?: string } }) => error.cause?.code,
  );

const drivers = ["postgres.js", "node-postgres"] as const;

describe.each(drivers)("over %s", (driver) => {
  const execute = (query: SQL): PromiseLike<unknown> => over[driver].execute(query);

  test("a fenced table refuses a smaller fence, until it is unfenced; both twice", async () => {
    const write = (fence: bigint) => execute(sql`update accounts set fence = ${fence.toString()} where id = 1`);
    await execute(fenceTable(accounts, accounts.fence));
    await execute(fenceTable(accounts, accounts.fence));
    await write(7n);
    await write(7n);
    expect(await stateOf(write(6n))).toBe("LH006");
    await execute(unfenceTable(accounts, accounts.fence));
    await execute(unfenceTable(accounts, accounts.fence));
    expect(await stateOf(write(6n))).toBeNull();
  });

  test("a guarded table refuses a write without a guard, until it is unguarded", async () => {
    const write = sql`update accounts set balance = 1 where id = 1`;
    await execute(guardTable(accounts, sql`'account:' || ${accounts.id}`));
    expect(await stateOf(execute(write))).toBe("LH005");
    await execute(unguardTable(accounts));
    await execute(unguardTable(accounts));
    expect(await stateOf(execute(write))).toBeNull();
  });

  test("quoted names and schemas, values in the expression", async () => {
    const write = sql`update ${odd} set ${sql.identifier("select")} = 4`;
    await execute(fenceTable(odd, odd.fence));
    expect(await stateOf(execute(write))).toBe("LH006");
    await execute(unfenceTable(odd, odd.fence));
    for (const key of [sql`${"it's "} || coalesce(${odd.region}, ${odd.id}) || ${7}`, odd.id]) {
      await execute(guardTable(odd, key));
      expect(await stateOf(execute(write))).toBe("LH005");
    }
    await execute(unguardTable(odd));
    expect(await stateOf(execute(write))).toBeNull();
  });
});

test("a guarded table takes the writes of lock.transaction for the keys that it guards", async () => {
  await over["postgres.js"].execute(guardTable(accounts, sql`'account:' || ${accounts.id}`));
  await using locker = openLocker(database, { prefix: "account:" });
  const pay = (id: number, amount: bigint) => ({
    where: eq(accounts.id, id),
    set: { balance: sql`${accounts.balance} + ${amount.toString()}::bigint` },
  });

  await locker.withLock("1", (from) =>
    locker.withLock("2", (to) =>
      from.transaction(over["node-postgres"], async (tx) => {
        await to.guard(tx);
        for (const { set, where } of [pay(1, -5n), pay(2, 5n)]) await tx.update(accounts).set(set).where(where);
      }),
    ),
  );
  const other = locker.withLock("1", (lock) =>
    lock.transaction(over["postgres.js"], (tx) => tx.update(accounts).set({ balance: 0n }).where(eq(accounts.id, 2))),
  );

  expect(await stateOf(other)).toBe("LH005");
  expect(await over["postgres.js"].select({ balance: accounts.balance }).from(accounts).orderBy(accounts.id)).toEqual([
    { balance: 95n },
    { balance: 205n },
  ]);
});

describe("names as the database writes them", () => {
  test("with the casing that it was made with", async () => {
    await database.sql.unsafe(
      "create table user_data (user_id text primary key, last_fence bigint not null default 0)",
    );
    await database.sql.unsafe("insert into user_data values ('u')");
    const data = pgTable("user_data", { userId: text().primaryKey(), lastFence: bigint({ mode: "bigint" }).notNull() });
    const db = drizzlePostgresJs(over.client, { casing: "snake_case" });

    await db.execute(fenceTable(data, data.lastFence));
    await db.execute(guardTable(data, sql`'user:' || ${data.userId}`));

    expect(await stateOf(db.update(data).set({ lastFence: 5n }))).toBe("LH005");
    await db.execute(unguardTable(data));
    await db.update(data).set({ lastFence: 5n });
    expect(await stateOf(db.update(data).set({ lastFence: 4n }))).toBe("LH006");
  });
});

test("a value or a name that looks like our quotes ends none", async () => {
  const table = pgTable("a$leasehold$b", { id: integer(), fence: bigint("f$leasehold", { mode: "bigint" }) });
  onTestFinished(async () => void (await database.sql`drop table "a$leasehold$b"`));
  await database.sql.unsafe(`
    create table "a$leasehold$b" (id int, "f$leasehold" bigint); insert into "a$leasehold$b" values (1, 5)`);
  const values = ["$leasehold$", "a$leasehold", "$leasehold_$ ", "' || $leasehold$'x'); drop table accounts; --"];
  for (const value of values) {
    const { sql: statement } = new PgDialect().sqlToQuery(guardTable(table, sql`${value} || ${table.id}`));
    await database.sql.unsafe(statement);
    const refused = database.sql`delete from "a$leasehold$b"`;
    await expect(refused).rejects.toMatchObject({ message: expect.stringContaining(value.replaceAll("'", "''")) });
  }
  await over["postgres.js"].execute(unguardTable(table));
  await over["postgres.js"].execute(fenceTable(table, table.fence));
  expect(await stateOf(over["postgres.js"].update(table).set({ fence: 4n }))).toBe("LH006");
  expect(await database.sql`select from accounts`).toHaveLength(2);
});

test("in a migration of Drizzle's: as text in its file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "leasehold-drizzle-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const dialect = new PgDialect();
  const statements = [fenceTable(accounts, accounts.fence), guardTable(odd, sql`'order:' || ${odd.id}`)].map((each) => {
    const { sql, params } = dialect.sqlToQuery(each);
    expect(params).toEqual([]);
    return `${sql};`;
  });
  const entry = { idx: 0, version: "7", when: 1_700_000_000_000, tag: "0000_fences", breakpoints: true };
  await mkdir(join(folder, "meta"));
  await writeFile(join(folder, "meta", "_journal.json"), JSON.stringify({ dialect: "postgresql", entries: [entry] }));
  await writeFile(join(folder, "0000_fences.sql"), statements.join("\n--> statement-breakpoint\n"));

  await migrate(over["postgres.js"], { migrationsFolder: folder });

  const triggers =
    await database.sql`select tgrelid::regclass::text as on from pg_trigger where tgname like 'zz_leasehold%' order by 1`;
  expect(triggers.map((row) => row.on)).toEqual([
    '"My ""Schema"""."Order\'s"',
    '"My ""Schema"""."Order\'s"',
    "accounts",
  ]);
});

describe.each(drivers)("a conditional update over %s", (driver) => {
  // the same to the compiler, but for what `execute` resolves to
  const db = () => over[driver] as (typeof over)["postgres.js"];
  const update = (id: number, by: bigint | { fence: bigint }, balance: bigint) =>
    db()
      .update(accounts)
      .set({ balance, fence: typeof by === "bigint" ? by : by.fence })
      .where(and(eq(accounts.id, id), fencedBy(accounts.fence, by)))
      .returning({ balance: accounts.balance });

  test("the same holder writes again and again, an earlier one no more", async () => {
    await using locker = openLocker(database);
    const first = await locker.withLock("k", async (lock) => {
      expect(await update(1, lock, 1n)).toEqual([{ balance: 1n }]);
      expect(await update(1, lock, 2n)).toEqual([{ balance: 2n }]);
      return lock.fence;
    });
    await locker.withLock("k", async (lock) => expect(await update(1, lock, 3n)).toEqual([{ balance: 3n }]));

    expect(await update(1, first, 4n)).toEqual([]);
    expect(await update(2, first, 4n)).toEqual([{ balance: 4n }]);
  });

  test("a fence larger than 2^53 is compared as it is", async () => {
    const large = 2n ** 53n + 1n;
    expect(await update(1, large, 1n)).toHaveLength(1);
    expect(await update(1, large - 1n, 2n)).toEqual([]);
    expect(await update(1, large, 3n)).toHaveLength(1);
  });

  test("a column that may be null is free until it was written", async () => {
    const write = (fence: bigint) =>
      db()
        .update(accounts)
        .set({ lastFence: Number(fence) })
        .where(and(eq(accounts.id, 1), fencedBy(accounts.lastFence, fence)))
        .returning();
    expect(await write(5n)).toHaveLength(1);
    expect(await write(4n)).toEqual([]);
  });

  test("in an upsert", async () => {
    const upsert = (fence: bigint, balance: bigint) =>
      db()
        .insert(accounts)
        .values({ id: 9, balance, fence })
        .onConflictDoUpdate({ target: accounts.id, set: { balance, fence }, setWhere: fencedBy(accounts.fence, fence) })
        .returning();
    expect(await upsert(5n, 1n)).toHaveLength(1);
    expect(await upsert(6n, 2n)).toHaveLength(1);
    expect(await upsert(5n, 3n)).toEqual([]);
  });
});

test("what is no fence column of the table does not compile", () => {
  const compiled = (_body: () => unknown) => {};
  compiled(() => fenceTable(accounts, accounts.lastFence));
  // @ts-expect-error: an integer cannot hold every fence
  compiled(() => fenceTable(accounts, accounts.small));
  // @ts-expect-error: a column of another table
  compiled(() => fenceTable(accounts, odd.fence));
  // @ts-expect-error
  compiled(() => fencedBy(accounts.small, 1n));
  // @ts-expect-error: fences are bigints
  compiled(() => fencedBy(accounts.fence, 1));
});
