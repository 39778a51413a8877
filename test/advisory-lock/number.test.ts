// The number of a key is what the documentation says, and so it is found in pg_locks.
import pg from "pg";
import { expect, test } from "vitest";
import { advisoryLock } from "../../src/index.js";
import { createEmptyDatabase } from "../support/database.js";
import { blocksOf, readPage } from "../support/pages.js";
import { documentedNumber } from "./looking.js";

const database = await createEmptyDatabase();
const { sql } = database;

const blocks = blocksOf(readPage("docs/guides/transaction-locks.md")).filter(({ language }) => language === "sql");
const [compute = "", take = "", look = ""] = blocks.map(({ text }) => text);

/** A statement of the page, for another key. */
const forKey = (text: string, key: string) => text.replaceAll("'account:7'", `'${key.replaceAll("'", "''")}'`);

async function openClient(): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client(database.url);
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

test("a number that was computed elsewhere", async () => {
  // printf account:7 | sha256sum
  expect(documentedNumber("account:7")).toBe(BigInt.asIntN(64, 0xf1c932ba8c43e41en));
});

test.each(["account:7", "a", "it's \\ $1", "schlüssel \u{1f512}", "x".repeat(512)])(
  "the documented SQL computes it, and finds the lock: %s",
  async (key) => {
    await using client = await openClient();
    const [row] = await sql.unsafe(forKey(compute, key));

    await client.query("begin");
    await advisoryLock(client, key);
    const { rows } = await client.query("select pg_backend_pid() as pid");
    const found = await sql.unsafe(forKey(look, key));
    await client.query("commit");
    const after = await sql.unsafe(forKey(look, key));

    expect(String(row?.number)).toBe(String(documentedNumber(key)));
    expect(found).toMatchObject([{ pid: rows[0].pid, mode: "ExclusiveLock", granted: true }]);
    expect(after).toHaveLength(0);
  },
);

test("those were positive and negative ones", () => {
  expect(documentedNumber("a")).toBeLessThan(0n);
  expect(documentedNumber("x".repeat(512))).toBeGreaterThan(0n);
});

test("what takes it in another language excludes, and is excluded by, advisoryLock", async () => {
  await using other = await openClient();
  await using client = await openClient();
  await other.query("begin");
  await other.query(take);
  await client.query("begin");

  const refused = await advisoryLock(client, "account:7", { waitMs: 0 }).catch((error: unknown) => error);
  await other.query("commit");
  await advisoryLock(client, "account:7", { waitMs: 0 });
  await other.query("begin");
  const { rows } = await other.query(take.replace("pg_advisory_xact_lock", "pg_try_advisory_xact_lock"));
  await other.query("commit");
  await client.query("commit");

  expect(refused).toMatchObject({ code: "wait-timeout" });
  expect(rows).toEqual([{ pg_try_advisory_xact_lock: false }]);
});

test("a number of the application's own is the same lock, and a lock in another database is another", async () => {
  await using elsewhere = await createEmptyDatabase();
  await using own = await openClient();
  await using client = await openClient();
  const otherDatabase = new pg.Client(elsewhere.url);
  await otherDatabase.connect();
  await own.query(`select pg_advisory_lock(${documentedNumber("b")})`);
  for (const one of [client, otherDatabase]) await one.query("begin");

  const outcomes = await Promise.allSettled(
    [client, otherDatabase].map((one) => advisoryLock(one, "b", { waitMs: 0 })),
  );
  for (const one of [client, otherDatabase]) await one.query("commit");
  await otherDatabase.end();

  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
});
