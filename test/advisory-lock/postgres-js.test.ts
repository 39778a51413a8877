// postgres.js goes on on a new connection when the old one dies inside a transaction (porsager/postgres #1216): outside of the
// transaction, and without the lock.
import postgres from "postgres";
import { beforeEach, describe, expect, test } from "vitest";
import { advisoryLock, UnsupportedError, WaitTimeoutError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { libraries } from "../transactions/libraries.js";
import { endConnection } from "../transactions/lost-connections.js";
import { lockedBy } from "./looking.js";

const database = await createDatabase();
const { sql } = database;
await sql`create table written (what text not null)`;

beforeEach(async () => {
  await sql`truncate written`;
});

const written = async () => (await sql`select what from written`).map(({ what }) => what);

describe.each(libraries.filter(({ acceptReconnect }) => acceptReconnect))("$name", (library) => {
  test("is refused before anything is sent, by an error that shows what to do", async () => {
    await using proxy = await startProxy(database.url);
    await using opened = library.open(proxy.url(database.url));
    let refused: unknown;
    let sent: unknown;

    await opened.plain(async (run, tx) => {
      await run("insert into written values ('mine')");
      proxy.statements.length = 0;
      refused = await advisoryLock(tx, "a").catch((error: unknown) => error);
      sent = [...proxy.statements];
    });

    expect(refused).toBeInstanceOf(UnsupportedError);
    expect(String(refused)).toContain("acceptReconnect: true");
    expect(sent).toEqual([]);
    expect(await written()).toEqual(["mine"]); // the transaction was left alone
  });

  test("in what lock.transaction has opened it needs no consent, and after a loss nothing is written", async () => {
    await using locker = openLocker(database);
    await using opened = library.open(database.url);
    await using lease = await locker.acquire("lease");
    const modes: string[][] = [];

    const failed = opened.guarded(lease, async (run, tx) => {
      await advisoryLock(tx, "a", { waitMs: 1_000 });
      modes.push(await lockedBy(sql, "a"));
      await endConnection(database, run);
      await opened.plain((other) => other("select 1")).catch(() => undefined);
      await run("insert into written values ('late')");
    });

    await expect(failed).rejects.toBeInstanceOf(Error);
    expect(modes).toEqual([["ExclusiveLock"]]);
    expect(await written()).toEqual([]);
  });
});

test("a wait that times out in tx.savepoint leaves the transaction usable", async () => {
  const client = postgres(database.url, { max: 2, onnotice: () => {} });
  const options = { acceptReconnect: true, waitMs: 50 };
  let refused: unknown;

  await client.begin(async (held) => {
    await advisoryLock(held, "a", options);
    await client.begin(async (tx) => {
      await tx
        .savepoint((nested) => advisoryLock(nested, "a", options))
        .catch((error: unknown) => {
          refused = error;
        });
      await tx`insert into written values ('afterwards')`;
    });
  });
  await client.end({ timeout: 1 });

  expect(refused).toBeInstanceOf(WaitTimeoutError);
  expect(await written()).toEqual(["afterwards"]);
});

test("acceptReconnect takes the risk that it names: what is written without the lock is committed", async () => {
  const client = postgres(database.url, { max: 1, onnotice: () => {} });

  await client
    .begin(async (tx) => {
      await advisoryLock(tx, "risk", { acceptReconnect: true });
      await endConnection(database, async (text) => await tx.unsafe(text));
      await client`select 1`;
      await tx`insert into written values ('without the lock')`;
    })
    .catch(() => undefined);

  // If this fails, postgres.js has been mended: then the refusal can go.
  await expect.poll(written).toEqual(["without the lock"]);
  await client.end({ timeout: 1 });
});
