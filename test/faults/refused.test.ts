// Postgres refuses for a reason of its own (SQLSTATE classes 53, 54, 57, 58 and their like): the error is UnavailableError, says the
// server's reason, and whether anything can have happened.
import { expect, test } from "vitest";
import { type Lock, type Locker, UnavailableError } from "../../src/index.js";
import { changeUrl } from "../support/client.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase, createRole, type TestDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";
import { everyCallWithoutLock } from "./every-call.js";

const database = await createDatabase();
const requestTimeoutMs = 3_000;
const presences = ["on", "off"] as const;

/** From now on what writes a lease fails with this, or does this first. */
async function spoil({ sql }: TestDatabase, body: string): Promise<AsyncDisposable> {
  await sql.unsafe(`
    create function public.spoil() returns trigger language plpgsql security definer as $$ begin ${body}; return new; end $$;
    create trigger spoil before insert or update on leasehold.leases for each row execute function public.spoil()`);
  return { [Symbol.asyncDispose]: async () => void (await sql.unsafe("drop function public.spoil() cascade")) };
}

const fail = (state: string) => `raise exception using errcode = ${state}, message = 'the reason'`;

const states: Readonly<Record<string, string>> = {
  "53000": "insufficient resources",
  "53100": "disk full",
  "53200": "out of memory",
  "53400": "configuration limit exceeded",
  "54000": "program limit exceeded",
  "54001": "statement too complex",
  "54023": "too many arguments",
  "55000": "not in prerequisite state",
  "57000": "operator intervention",
  "57014": "query canceled",
  "58000": "system error",
  "58030": "I/O error",
  "58P01": "undefined file",
  XX000: "internal error",
};

test(`a statement that fails with ${Object.keys(states).join(", ")}: nothing was done, and the reason is told`, async () => {
  const lockers = Object.fromEntries(
    Object.keys(states).map((state) => [state, openLocker(database, { presence: "off", requestTimeoutMs: 5_000 })]),
  );
  const locks = new Map<string, Lock>();
  for (const [state, locker] of Object.entries(lockers)) locks.set(state, await locker.acquire(`held-${state}`));
  {
    await using _ = await spoil(database, fail("split_part(new.key, '-', 2)"));
    const isRefused = async (state: string, locker: Locker) => {
      const lock = locks.get(state) as Lock;
      const refused = `refused: the reason (SQLSTATE ${state}). Nothing was done.`;
      const cause = { code: state };
      const error = await locker.forceRelease(lock.key).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ name: "UnavailableError", outcome: "not-sent", cause });
      expect((error as Error).message).toContain(refused);
      // These ask again and again. Of the last attempt, which the end of the time cuts short, it may not be known what became.
      const told = { name: "UnavailableError", message: expect.stringContaining(refused), cause };
      const calls = [locker.acquire(`new-${state}`, { waitMs: 1 }), locker.tryAcquire(`new-${state}`), lock.renew()];
      const outcomes = await Promise.allSettled(calls);
      outcomes.push(...(await Promise.allSettled([lock.release()])));
      for (const outcome of outcomes) {
        expect(outcome, states[state]).toMatchObject({ status: "rejected", reason: told });
      }
    };
    await Promise.all(Object.entries(lockers).map(([state, locker]) => isRefused(state, locker)));
  }
  await until("what could not be released is, in the background", async () => {
    return (await database.sql`select from leasehold.leases where token is not null`).length === 0;
  });
  await Promise.all(Object.values(lockers).map((locker) => locker.close()));
});

test("a limit that a batch meets, and none of its items alone, costs nobody anything", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await locker.withLock("first", () => undefined); // connected: what is asked for at once goes in one statement
  await using _ = await spoil(
    database,
    `create temp table if not exists seen (n int) on commit drop;
     insert into seen values (1);
     if (select count(*) from seen) > 10 then ${fail("'54000'")}; end if`,
  );
  const locks = await Promise.all(Array.from({ length: 64 }, (_, n) => locker.acquire(`limited-${n}`)));
  expect(locks.map(({ held }) => held)).not.toContain(false);
  for (const lock of locks) await lock.release();
});

test("a real limit: an argument of a function that nests too deep (54001)", async () => {
  const role = await createRole(database, { grantUsage: true });
  await database.sql.unsafe(`alter role ${role.name} set max_stack_depth = '100kB'`);
  await using _ = await spoil(
    database,
    "perform public.deeper(); exception when undefined_function then perform public.deeper()",
  );
  await database.sql.unsafe(
    "create function public.deeper() returns void language plpgsql as $$ begin perform public.deeper(); end $$",
  );
  await using locker = openLocker(role.url, { presence: "off", requestTimeoutMs });
  await expect(locker.tryAcquire("deep")).rejects.toMatchObject({
    name: "UnavailableError",
    message: expect.stringContaining("stack depth limit exceeded (SQLSTATE 54001)"),
  });
  await database.sql.unsafe("drop function public.deeper()");
});

test("a statement that is cancelled (57014): nothing was done, and it is asked again", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await locker.ready();
  const { sql } = database;
  const running = () =>
    sql`select pid from pg_stat_activity where datname = current_database() and application_name = 'leasehold commands'
          and state = 'active' and wait_event = 'PgSleep'`;
  {
    await using _ = await spoil(database, "perform pg_sleep(600)");
    const trying = locker.tryAcquire("cancelled").catch((error: unknown) => error);
    await until("it is cancelled", async () => {
      const [row] = await running();
      return row && (await sql`select pg_cancel_backend(${row.pid})`);
    });
    // asked again by itself, within its time
    await until("it runs again", async () => (await running()).length > 0);
    let isOver = false;
    void trying.then(() => {
      isOver = true;
    });
    await until("it has ended", async () => {
      for (const { pid } of await running()) await sql`select pg_cancel_backend(${pid})`;
      return isOver;
    });
    expect(await trying).toMatchObject({ name: "UnavailableError", cause: { code: "57014" } });
  }
  await (await locker.acquire("cancelled")).release();
});

test.each(presences)("no connection is free (53300): every call says so (presence: %s)", async (presence) => {
  const role = await createRole(database, { grantUsage: true });
  await database.sql.unsafe(`alter role ${role.name} connection limit 0`);
  await using locker = openLocker(role.url, { presence, requestTimeoutMs });
  for (const [name, call] of Object.entries(everyCallWithoutLock(locker))) {
    const error = await call().catch((reason: unknown) => reason);
    expect(error, name).toBeInstanceOf(UnavailableError);
    expect(error, name).toMatchObject({
      outcome: "not-sent",
      message: expect.stringMatching(
        /^Postgres at [\w.]+:\d+ refused: too many connections for role .* \(SQLSTATE 53300\)/,
      ),
    });
  }
  await database.sql.unsafe(`alter role ${role.name} connection limit 10`);
  expect(await locker.withLock("free again", ({ held }) => held)).toBe(true);
});

test.each(presences)(
  "a database that accepts no connections (55000) and a server that starts or stops (57P03) say so (presence: %s)",
  async (presence) => {
    await using cluster = await startCluster();
    await using own = await createDatabase({ on: cluster });
    const admin = await cluster.sql();
    const role = await createRole(own, { grantUsage: true });
    await admin.unsafe(`alter database ${own.name} allow_connections false`);
    await using locker = openLocker(role.url, { presence, requestTimeoutMs });
    await expect(locker.acquire("a", { waitMs: 1 })).rejects.toMatchObject({
      name: "UnavailableError",
      outcome: "not-sent",
      message: expect.stringContaining("is not currently accepting connections (SQLSTATE 55000)"),
    });
    await admin.unsafe(`alter database ${own.name} allow_connections true`);

    // A shutdown that waits for the clients that are there: no other is let in meanwhile.
    process.kill(cluster.pid as number, "SIGTERM");
    await until("it shuts down", () => cluster.log.includes("received smart shutdown request"));
    await expect(locker.acquire("a", { waitMs: 1 })).rejects.toMatchObject({
      name: "UnavailableError",
      outcome: "not-sent",
      message: expect.stringContaining("the database system is shutting down (SQLSTATE 57P03)"),
    });
    await cluster.stop("fast");
  },
);

test("a statement whose connection is ended in its middle (57P01), and then no server: the answer is lost, so the outcome is unknown", async () => {
  await using cluster = await startCluster();
  await using own = await createDatabase({ on: cluster });
  const { sql } = own;
  await using locker = openLocker(own, { presence: "off", requestTimeoutMs });
  await locker.ready();
  expectLeft(own, "leases");
  await spoil(own, "perform pg_sleep(600)");
  const acquiring = locker.acquire("a", { waitMs: 1 }).catch((error: unknown) => error);
  await until("it is in the middle", async () => {
    const found = await sql`select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()`;
    return found.length > 0;
  });
  await cluster.stop("fast");

  const error = await acquiring;
  // the last attempt was not sent, but the first one was
  expect(error).toMatchObject({ name: "UnavailableError", outcome: "unknown" });
  expect((error as Error).message).not.toContain("refused:");
});

test("a given client that finds no connection free (53300) has sent nothing", async () => {
  const postgres = (await import("postgres")).default;
  const role = await createRole(database, { grantUsage: true });
  await database.sql.unsafe(`alter role ${role.name} connection limit 0`);
  const client = postgres(changeUrl(role.url, {}), { max: 1 });
  const options = { client, url: undefined, presence: "off", requestTimeoutMs: 10_000 } as const;
  await using locker = openLocker(database, options);
  await expect(locker.acquire("a", { waitMs: 1 })).rejects.toMatchObject({
    name: "UnavailableError",
    outcome: "not-sent",
    message: expect.stringContaining("SQLSTATE 53300"),
  });
  await client.end({ timeout: 1 });
});
