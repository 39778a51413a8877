import type { Socket } from "node:net";
import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import { describe, expect, test } from "vitest";
import { UnavailableError } from "../../src/index.js";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { libraries } from "./libraries.js";
import type { Run } from "./library.js";
import { endConnection, testLostConnections } from "./lost-connections.js";

const database = await createDatabase();
const { sql } = database;
await sql`create table written (what text not null)`;

const written = async () => (await sql`select what from written`).map(({ what }) => what);

testLostConnections(libraries, database);

describe("postgres.js, which would send on", () => {
  test("what the body sends is refused, on any way that there is, and its end disturbs no other transaction", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("d");
    const client = postgres(database.url, { max: 1, onnotice: () => {} });
    const run: (tx: postgres.TransactionSql) => Run = (tx) => async (text) => await tx.unsafe(text);
    let tries: PromiseSettledResult<unknown>[] = [];

    const failed = lock.transaction(client, async (tx) => {
      const made = tx`insert into written values ('made before')`;
      await endConnection(database, run(tx));
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

  test("what is sent between a connection's error and its end, which postgres.js never settles, does not hang", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("between");
    const sockets: Socket[] = [];
    const client = await openClient(database.url, { onSocket: (socket) => sockets.push(socket) });
    let late: unknown;

    const failed = lock.transaction(client, async (tx) => {
      await tx`insert into written values ('before')`;
      const failing = new Promise<void>((resolve) => sockets[0]?.once("error", () => resolve()));
      sockets[0]?.destroy(reset());
      await failing;
      late = await tx`insert into written values ('between')`.catch((error: unknown) => error);
      throw late;
    });

    await expect(failed).rejects.toMatchObject({ code: "CONNECTION_CLOSED" });
    expect(late).toMatchObject({ code: "CONNECTION_CLOSED" });
    expect(await written()).toEqual([]);
    await client.end({ timeout: 1 });
  });

  test("a reset during a statement leaves no query on the client's connection that holds up all others", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("reset");
    const sockets: Socket[] = [];
    const client = await openClient(database.url, { onSocket: (socket) => sockets.push(socket) });

    const failed = lock.transaction(client, async (tx) => {
      const waiting = tx`select pg_sleep(60)`.execute();
      setTimeout(() => sockets[0]?.destroy(reset()), 100);
      await waiting;
    });

    await expect(failed).rejects.toThrow("read ECONNRESET");
    const both = ["one", "other"].map((name) => client`select ${name} as name`);
    expect((await Promise.all(both)).map(([row]) => row?.name)).toEqual(["one", "other"]);
    await client.end({ timeout: 1 });
  });

  test("a nested transaction of Drizzle does not hang, nor write", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("e");
    const client = postgres(database.url, { max: 1, onnotice: () => {} });
    const db = drizzle(client);

    const failed = lock.transaction(db, (tx) =>
      tx.transaction(async (nested) => {
        await endConnection(database, async (text) => await nested.execute(text));
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

function reset(): Error {
  return Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
}
