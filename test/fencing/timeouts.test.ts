// A guarded transaction that somebody abandons must not keep its key for ever.
import { expect, test } from "vitest";
import { ask, giveBack } from "../support/ask.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";
import { openSession, type Session } from "./session.js";

const database = await createDatabase();
const { sql } = database;
const [server] = await sql`select current_setting('server_version_num')::int as version`;
const hasTransactionTimeout = server?.version >= 170_000;
const timeouts = [
  "idle_in_transaction_session_timeout",
  "statement_timeout",
  ...(hasTransactionTimeout ? ["transaction_timeout"] : []),
];

async function settings(session: Session): Promise<string[]> {
  const values: string[] = [];
  for (const name of timeouts) values.push(await session.setting(name));
  return values;
}

const all = (value: string) => timeouts.map(() => value);

test("a guard bounds its transaction by the TTL, at least 1 s, or by what it is told, and only its transaction", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  await using lock = await locker.acquire("a", { ttlMs: 45_000 });
  await using short = await locker.acquire("short", { ttlMs: 45_000 });
  await sql`update leasehold.leases set ttl_ms = 300 where key = 'short'`;
  await using session = await openSession(database);
  const before = await settings(session);
  for (const [key, fence, timeout, expected] of [
    ["a", lock.fence, null, "45s"],
    ["short", short.fence, null, "1s"],
    ["a", lock.fence, "20 s", "20s"],
    ["a", lock.fence, "2 minutes", "2min"],
  ] as const) {
    for (const end of ["commit", "rollback"]) {
      await session.begin();
      await session.guard(key, fence, timeout);
      expect(await settings(session), `${key} ${timeout}`).toEqual(all(expected));
      await session.run(end);
      expect(await settings(session), end).toEqual(before);
    }
  }
});

test("what is set lower stays, and what is set for the session comes back", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  await using lock = await locker.acquire("a", { ttlMs: 45_000 });
  await using session = await openSession(database);
  for (const name of timeouts) await session.run(`set ${name} = '7s'`);
  await session.begin();
  await session.guard("a", lock.fence);
  expect(await settings(session)).toEqual(all("7s"));
  await session.guard("a", lock.fence, "3 s");
  expect(await settings(session)).toEqual(all("3s"));
  await session.guard("a", lock.fence, "5 s");
  expect(await settings(session)).toEqual(all("3s"));
  await session.commit();
  expect(await settings(session)).toEqual(all("7s"));

  for (const name of timeouts) await session.run(`set ${name} = '3min'`);
  await session.begin();
  await session.guard("a", lock.fence);
  expect(await settings(session)).toEqual(all("45s"));
  await session.rollback();
  expect(await settings(session)).toEqual(all("3min"));
});

test("a guard that is rolled back to a savepoint takes its bounds with it", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  await using lock = await locker.acquire("a");
  await using session = await openSession(database);
  const before = await settings(session);
  await session.run("begin; savepoint s");
  await session.guard("a", lock.fence);
  expect(await settings(session)).not.toEqual(before);
  await session.run("rollback to s");
  expect(await settings(session)).toEqual(before);
  await session.commit();
});

test("an abandoned transaction ends by itself, and then the key is granted", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  const lock = await locker.acquire("idle");
  await using session = await openSession(database);
  await session.begin();
  await session.guard("idle", lock.fence, "500 ms");
  await lock.release();
  expect((await ask(sql, ["idle"]))[0]?.outcome).toBe("busy");

  const asked = await until("it is granted", async () => {
    const [answer] = await ask(sql, ["idle"]);
    return answer?.outcome === "granted" && answer;
  });
  expect(await sql`select from pg_stat_activity where pid = ${session.pid}`).toHaveLength(0);
  await giveBack(sql, [asked]);
});

test("a statement that takes longer is cancelled", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  await using lock = await locker.acquire("long");
  await using session = await openSession(database);
  await session.begin();
  await session.guard("long", lock.fence, "300 ms");
  // from 17 on the transaction ends at the same moment; which of the two is first does not matter
  await expect(session.run("select pg_sleep(60)")).rejects.toMatchObject({
    code: expect.stringMatching(/^(57014|25P04|CONNECTION_CLOSED|ECONNRESET|EPIPE)$/),
  });
});

test.runIf(hasTransactionTimeout)("a transaction that is never idle for long is ended as a whole", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  await using lock = await locker.acquire("busy");
  // a clock of the user's own that runs already is replaced by one with an earlier end
  for (const own of ["0", "50s"]) {
    await using session = await openSession(database);
    await session.run(`set transaction_timeout = '${own}'`);
    await session.run("begin; select pg_sleep(0.5)");
    const start = performance.now();
    await session.guard("busy", lock.fence, "600 ms");
    await endOf(session, () => session.run("select 1"));
    expect(performance.now() - start).toBeGreaterThanOrEqual(590);
    expect(performance.now() - start).toBeLessThan(20_000);
  }
});

test.runIf(hasTransactionTimeout)("guards made again and again do not prolong their transaction", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  await using lock = await locker.acquire("bounded");
  await using session = await openSession(database);
  await session.run("set transaction_timeout = '1500ms'");
  const start = performance.now();
  await session.begin();
  await endOf(session, () => session.guard("bounded", lock.fence, "1 s"));
  expect(performance.now() - start).toBeLessThan(20_000);
});

/** Keeps a transaction busy until the server ends it; the client comes back on another backend. */
async function endOf({ pid }: Session, act: () => Promise<unknown>): Promise<void> {
  await until("the transaction has ended", async () => {
    await act().catch((error: { code?: string }) =>
      expect(error.code).toMatch(/^(25P04|CONNECTION_CLOSED|CONNECTION_ENDED|ECONNRESET|EPIPE)$/),
    );
    return (await sql`select from pg_stat_activity where pid = ${pid}`).length === 0;
  });
}
