// A connection that is lost while the body runs: nothing of the transaction is kept, and nothing that the body still sends
// gets through on another connection, where no guard stands.
import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import { beforeEach, describe, expect, test } from "vitest";
import { UnavailableError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";
import { libraries, type Run } from "./libraries.js";

const database = await createDatabase();
const { sql } = database;
await sql`create table written (what text not null)`;

beforeEach(async () => {
  await sql`truncate written`;
});

const written = async () => (await sql`select what from written`).map(({ what }) => what);

/** Ends the backend of this transaction, and waits until it is gone. */
async function endConnection(run: Run): Promise<void> {
  const [row] = await run("select pg_backend_pid() as pid");
  const pid = Number(row?.pid);
  await sql`select pg_terminate_backend(${pid})`;
  await until("the backend is gone", async () => {
    const [gone] = await sql`select not exists (select from pg_stat_activity where pid = ${pid}) as gone`;
    return gone?.gone as boolean;
  });
}

describe.each(libraries)("$name", (library) => {
  test("between two statements: the next one fails, whatever the pool does meanwhile", async () => {
    await using locker = openLocker(database);
    await using opened = library.open(database.url);
    await using lock = await locker.acquire("a");
    const isPool = library.name !== "a client of node-postgres";
    let late: unknown;

    const failed = opened.guarded(lock, async (run) => {
      await run("insert into written values ('before')");
      await endConnection(run);
      // another use of the same pool brings a new connection to where the old one was
      if (isPool) {
        for (let turn = 0; turn < 3; turn += 1) await opened.plain((other) => other("select 1")).catch(() => undefined);
      }
      late = await run("insert into written values ('late')").catch((error: unknown) => error);
      throw late;
    });

    expect(await failed.catch((error: unknown) => error)).toBe(late);
    expect(late).toBeInstanceOf(Error);
    expect(await written()).toEqual([]);
    if (isPool) expect(await opened.plain((run) => run("select 1 as one"))).toEqual([{ one: 1 }]);
    else await opened.plain((run) => run("select 1")).catch(() => undefined);
  });

  test("during a statement: its error is the body's, and the pool goes on", async () => {
    await using locker = openLocker(database);
    await using opened = library.open(database.url);
    await using lock = await locker.acquire("b");
    let own: unknown;

    const failed = opened.guarded(lock, async (run) => {
      await run("insert into written values ('before')");
      own = await run("select pg_terminate_backend(pg_backend_pid())").catch((error: unknown) => error);
      await run("insert into written values ('late')").catch(() => undefined);
      throw own;
    });

    expect(await failed.catch((error: unknown) => error)).toBe(own);
    expect(await written()).toEqual([]);
  });

  test("a body that swallows it does not get away with it", async () => {
    await using locker = openLocker(database);
    await using opened = library.open(database.url);
    await using lock = await locker.acquire("c");

    const failed = opened.guarded(lock, async (run) => {
      await run("insert into written values ('before')");
      await run("select pg_terminate_backend(pg_backend_pid())").catch(() => undefined);
      return "fine";
    });

    await expect(failed).rejects.toBeInstanceOf(Error);
    expect(await written()).toEqual([]);
  });
});

describe("postgres.js, which would send on", () => {
  test("what the body sends is refused, on any way that there is, and its end disturbs no other transaction", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("d");
    const client = postgres(database.url, { max: 1, onnotice: () => {} });
    const run: (tx: postgres.TransactionSql) => Run = (tx) => async (text) => await tx.unsafe(text);
    let tries: PromiseSettledResult<unknown>[] = [];

    const failed = lock.transaction(client, async (tx) => {
      const made = tx`insert into written values ('made before')`;
      await endConnection(run(tx));
      await client.begin(async (other) => {
        await other`insert into written values ('other')`;
        tries = await Promise.allSettled([
          made,
          tx`insert into written values ('tag')`,
          tx.unsafe("insert into written values ('unsafe')"),
          tx.savepoint((nested) => nested`insert into written values ('savepoint')`),
        ]);
        await other`insert into written values ('other')`;
      });
      throw new Error("the body's end");
    });

    await expect(failed).rejects.toThrow("the body's end");
    expect(tries.map(({ status }) => status)).toEqual(Array(4).fill("rejected"));
    expect(tries.map((one) => "reason" in one && one.reason instanceof UnavailableError)).toEqual(Array(4).fill(true));
    expect(await written()).toEqual(["other", "other"]);
    await client.end({ timeout: 1 });
  });

  test("a nested transaction of Drizzle does not hang, nor write", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("e");
    const client = postgres(database.url, { max: 1, onnotice: () => {} });
    const db = drizzle(client);

    const failed = lock.transaction(db, (tx) =>
      tx.transaction(async (nested) => {
        await endConnection(async (text) => await nested.execute(text));
        await client`select 1`;
        await nested.execute("insert into written values ('nested')");
      }),
    );

    await expect(failed).rejects.toBeInstanceOf(Error);
    expect(await written()).toEqual([]);
    await client.end({ timeout: 1 });
  });

  test("tx is as ever: fragments, helpers, cursors, names, arrays, savepoints with names", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("f");
    const client = postgres(database.url, { max: 1, onnotice: () => {} });

    const result = await lock.transaction(client, async (tx) => {
      await tx`insert into ${tx("written")} ${tx([{ what: "a" }, { what: "b" }])}`;
      await tx.savepoint("named", (nested) => nested`insert into written values ${nested([["c"], ["d"]])}`);
      const condition = tx`what in ${tx(["a", "c"])}`;
      const rows: string[] = [];
      await tx`select what from written where ${condition} order by what`.cursor(1, ([row]) => {
        rows.push(row?.what);
      });
      const values = await tx`select ${tx.array(["x", "y"])}::text[] as list, ${tx.json({ a: 1 })} as data`.values();
      const described = await tx`select 1 as one`.describe();
      return { rows, values, columns: described.columns.map(({ name }) => name) };
    });

    expect(result).toEqual({ rows: ["a", "c"], values: [[["x", "y"], { a: 1 }]], columns: ["one"] });
    await client.end({ timeout: 1 });
  });

  test("what is sent after the commit is refused", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("g");
    const client = postgres(database.url, { max: 1, onnotice: () => {} });

    const tx = await lock.transaction(client, (own) => own);

    await expect(tx`insert into written values ('late')`).rejects.toThrow("This transaction has ended");
    expect(await written()).toEqual([]);
    await client.end({ timeout: 1 });
  });
});
