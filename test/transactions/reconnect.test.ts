// postgres.js goes on on a new connection when the old one dies inside a transaction (porsager/postgres #1216). A guard in a
// transaction that lock.transaction has not opened is refused for that reason, unless the caller takes the risk.
import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import { beforeEach, describe, expect, test } from "vitest";
import { InvalidOptionError, type Lock, UnsupportedError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { libraries } from "./libraries.js";
import type { Run } from "./library.js";
import { endConnection } from "./lost-connections.js";

const database = await createDatabase();
const { sql } = database;
await sql`create table written (what text not null)`;

beforeEach(async () => {
  await sql`truncate written`;
});

const written = async () => (await sql`select what from written`).map(({ what }) => what);
const reconnecting = libraries.filter(({ acceptReconnect }) => acceptReconnect);

describe.each(reconnecting)("$name", (library) => {
  test("guard is refused before anything is sent, by an error that shows what to do", async () => {
    await using locker = openLocker(database);
    await using proxy = await startProxy(database.url);
    await using opened = library.open(proxy.url(database.url));
    await using lock = await locker.acquire("a");

    await opened.plain(async (run, tx) => {
      await run("insert into written values ('mine')");
      proxy.statements.length = 0;
      const refused: unknown = await lock.guard(tx).catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(UnsupportedError);
      expect(String(refused)).toContain("await lock.transaction(db, async (tx) => { ... })");
      expect(String(refused)).toContain("acceptReconnect: true");
      expect(proxy.statements).toEqual([]);
    });

    expect(await written()).toEqual(["mine"]); // the transaction was left alone
  });

  test("another lock may guard what lock.transaction has opened, also in a transaction nested in it", async () => {
    await using locker = openLocker(database);
    await using opened = library.open(database.url);
    await using first = await locker.acquire("first");
    await using second = await locker.acquire("second");

    const guarded = await opened.guarded(first, async (run, tx) => {
      await second.guard(tx);
      return await run("select leasehold.is_guarded('first') and leasehold.is_guarded('second') as both");
    });

    expect(guarded).toEqual([{ both: true }]);
  });

  /** The holder's connection dies while its key goes to another; then it writes on. */
  async function writeStale(lock: Lock, run: Run, next: () => Promise<unknown>, use: () => Promise<unknown>) {
    await run("select 1");
    await endConnection(database, run);
    await lock.release();
    await next();
    await use(); // brings a new connection to where the old one was
    await run("insert into written values ('stale')");
  }

  test("lock.transaction: a stale holder's write on the new connection is refused", async () => {
    await using locker = openLocker(database);
    await using other = openLocker(database);
    await using opened = library.open(database.url);
    const lock = await locker.acquire("race");
    let isTaken = false;

    const stale = opened.guarded(lock, (run) =>
      writeStale(
        lock,
        run,
        async () => {
          isTaken = (await other.acquire("race")).held;
        },
        () => opened.plain((own) => own("select 1")),
      ),
    );

    await expect(stale).rejects.toBeInstanceOf(Error);
    expect(isTaken).toBe(true);
    expect(await written()).toEqual([]);
  });
});

test("acceptReconnect takes the risk that it names: a stale holder's write is committed", async () => {
  await using locker = openLocker(database);
  await using other = openLocker(database);
  const client = postgres(database.url, { max: 1, onnotice: () => {} });
  const lock = await locker.acquire("risk");

  await client
    .begin(async (tx) => {
      await lock.guard(tx, { acceptReconnect: true });
      await endConnection(database, async (text) => await tx.unsafe(text));
      await lock.release();
      await other.acquire("risk");
      await client`select 1`;
      await tx`insert into written values ('stale')`;
    })
    .catch(() => undefined);

  // If this fails, postgres.js has been mended: then the refusal can go.
  await expect.poll(written).toEqual(["stale"]);
  await client.end({ timeout: 1 });
});

describe("Drizzle over postgres.js", () => {
  test("a nested transaction in one of the user's own is refused as well; in one of ours it is guarded", async () => {
    await using locker = openLocker(database);
    await using first = await locker.acquire("outer");
    await using second = await locker.acquire("inner");
    const client = postgres(database.url, { max: 1, onnotice: () => {} });
    const db = drizzle(client);

    await db.transaction(async (tx) => {
      await expect(first.transaction(tx, () => {})).rejects.toThrow(UnsupportedError);
    });
    const guarded = await first.transaction(db, (tx) =>
      second.transaction(tx, (nested) => nested.execute("select leasehold.is_guarded('inner') as guarded")),
    );

    expect(guarded).toEqual([{ guarded: true }]);
    await client.end({ timeout: 1 });
  });
});

test("acceptReconnect is checked", async () => {
  await using locker = openLocker(database);
  await using lock = await locker.acquire("options");
  const wrong = [{ acceptReconnect: 1 }, { acceptReconect: true }, true];

  for (const options of wrong) {
    await expect(lock.guard({} as never, options as never)).rejects.toThrow(InvalidOptionError);
    await expect(lock.guard({} as never, options as never)).rejects.toThrow(/acceptReconnect|guard's options/);
  }
});
