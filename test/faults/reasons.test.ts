// What a user is told when Postgres cannot be used: why, and where, as soon as that is certain; of one outage, once.
import { expect, onTestFinished, test } from "vitest";
import { createLocker, type LeaseholdError, type LockerOptions, UnavailableError } from "../../src/index.js";
import { changeUrl } from "../support/client.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase, createRole } from "../support/database.js";
import { fakeServer } from "../support/fake-server.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;
const { host: place } = new URL(database.url);
const presences = ["on", "off"] as const;

/** Longer than any test may take: what is told within it was not waited for. */
const PATIENCE_MS = 170_000;

type Address = (stack: AsyncDisposable[]) => Promise<LockerOptions>;

const hopeless: Readonly<Record<string, readonly [Address, says: RegExp, cause: object]>> = {
  "nothing listens": [
    async () => ({ url: changeUrl(database.url, { host: "127.0.0.1", port: 1 }) }),
    /^Postgres at 127\.0\.0\.1:1 could not be reached: nothing listens there \(ECONNREFUSED\)\. Nothing was sent\./,
    { code: "ECONNREFUSED" },
  ],
  "none of several hosts": [
    async () => {
      const { username, password, pathname } = new URL(database.url);
      return { url: `postgres://${username}:${password}@no-such-host.invalid:5432,127.0.0.1:1${pathname}` };
    },
    /^Postgres at 127\.0\.0\.1:1 could not be reached: nothing listens there \(ECONNREFUSED\)\. no-such-host\.invalid:5432: the name is not known: "no-such-host\.invalid" \(ENOTFOUND\)\. Nothing was sent\./,
    { code: "ECONNREFUSED" },
  ],
  "no such name": [
    async () => ({ url: changeUrl(database.url, { host: "no-such-host.invalid" }) }),
    /^Postgres at no-such-host\.invalid:\d+ could not be reached: the name is not known: "no-such-host\.invalid" \(ENOTFOUND\)/,
    { code: "ENOTFOUND" },
  ],
  "a password function that throws": [
    async () => ({
      url: database.url,
      connection: { password: () => Promise.reject(new Error("the vault is sealed")) },
    }),
    /could not be reached: the function that gives the password failed: the vault is sealed\. Nothing was sent/,
    { message: "the vault is sealed" },
  ],
  "a server that hangs up": [
    async (stack) => {
      const server = await fakeServer((socket) => socket.end());
      stack.push(server);
      return { url: changeUrl(database.url, { host: "127.0.0.1", port: server.port }) };
    },
    /^Postgres at 127\.0\.0\.1:\d+ could not be reached: the connection was (closed|reset)/,
    {},
  ],
  "no such database": [
    async () => ({ url: changeUrl(database.url, { database: "no_such_database" }) }),
    /^Postgres at [\w.]+:\d+ refused: database "no_such_database" does not exist \(SQLSTATE 3D000\)/,
    { code: "3D000" },
  ],
};

test.each(Object.keys(hopeless).flatMap((name) => presences.map((presence) => [name, presence] as const)))(
  "%s: what does not wait is told at once, with reason and address, and debug() names the cause (presence: %s)",
  async (name, presence) => {
    const [options, says, cause] = hopeless[name] as (typeof hopeless)[string];
    const stack: AsyncDisposable[] = [];
    const url = await options(stack);
    await using locker = createLocker({ ...url, presence, requestTimeoutMs: PATIENCE_MS, connectTimeoutMs: 60_000 });
    for (const call of [() => locker.ready(), () => locker.tryAcquire("a"), () => locker.check("a")]) {
      const error = await call().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(UnavailableError);
      expect(error).toMatchObject({ outcome: "not-sent", address: expect.stringMatching(/:\d+$/) });
      expect((error as Error).message).toMatch(says);
    }
    expect((await quick(locker)).find((error) => says.test(error.message))?.cause).toMatchObject(cause);
    for (const resource of stack) await resource[Symbol.asyncDispose]();
  },
);

/** debug() asks the server, too, and this locker is patient. */
async function quick(locker: ReturnType<typeof createLocker>) {
  const closed = locker.close();
  const { errors } = await locker.debug();
  await closed;
  return errors;
}

test.each(presences)("too many connections: the server's own words (presence: %s)", async (presence) => {
  const role = await createRole(database, { grantUsage: true });
  await sql.unsafe(`alter role ${role.name} connection limit 0`);
  await using locker = openLocker(role.url, { presence, requestTimeoutMs: 1_000 });
  const error = await locker.tryAcquire("a").catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: "UnavailableError", outcome: "not-sent", address: place });
  expect((error as Error).message).toContain(`Postgres at ${place} refused: too many connections for role`);
});

test.each(presences)(
  "a table that somebody has locked: by whom, and the call settles (presence: %s)",
  async (presence) => {
    await using locker = openLocker(database, { presence, requestTimeoutMs: 1_000 });
    const lock = await locker.acquire("held", { keepAlive: false });
    await lock.renew();
    await sql.begin(async (tx) => {
      await tx`lock table leasehold.leases in access exclusive mode`;
      const [{ pid }] = (await tx`select pg_backend_pid() as pid`) as unknown as [{ pid: number }];
      const inTheWay = `The table leasehold.leases is locked by server process ${pid} (AccessExclusiveLock)`;
      for (const call of [() => locker.check("a"), () => locker.tryAcquire("a")]) {
        const error = await call().catch((reason: unknown) => reason);
        expect(error).toMatchObject({ name: "UnavailableError", address: place });
        expect((error as Error).message).toContain(inTheWay);
      }
    });
    await until("the connections are there again", () =>
      lock.renew().then(
        () => true,
        () => false,
      ),
    );
    await lock.release();
  },
);

test("a wait behind a locked table is told once, with who has it, and is granted when that is over", async () => {
  const errors: Error[] = [];
  // long enough for a heartbeat on a busy machine: a session that is lost and there again ends an outage
  await using locker = openLocker(database, {
    requestTimeoutMs: 2_000,
    onError: (error) => errors.push(error as Error),
  });
  const lock = await locker.acquire("renewed", { renewEveryMs: 5_000 });
  await lock.renew();
  let waiting: Promise<unknown> = Promise.resolve();
  await sql.begin(async (tx) => {
    await tx`lock table leasehold.leases in access exclusive mode`;
    const { errors: before } = locker.stats();
    waiting = locker.acquire("behind", { waitMs: 120_000 }).then((granted) => granted.release());
    await until("it has given up three times", () => locker.stats().errors >= before + 3);
  });
  await waiting;
  expect(errors.map(({ message }) => message)).toEqual([
    expect.stringMatching(/The table leasehold\.leases is locked by server process \d+ \(AccessExclusiveLock\)/),
  ]);
  await lock.release();
});

test("a connection that the server ended is not told to be a missing answer, and no error speaks of negative time", async () => {
  const errors: LeaseholdError[] = [];
  await using locker = openLocker(database, { onError: (error) => errors.push(error as LeaseholdError) });
  await locker.ready();
  await sql`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'leasehold session'`;
  await until("it is told", () => errors.length > 0);
  await until("it is there again", async () => (await locker.debug()).connections?.session?.incarnation === 2);
  expect(errors.map(({ message }) => message)).toEqual([
    expect.stringMatching(
      /^The session's connection to Postgres at [\w.:]+ was lost: (terminating connection due to administrator command \(57P01\)|the connection was closed)/,
    ),
  ]);
  expect(JSON.stringify(await locker.debug())).not.toMatch(/-\d+ ms/);
});

test.each(presences)(
  "one outage is one onError, however many locks and waiters notice it; the next one is another (presence: %s)",
  async (presence) => {
    await using proxy = await startProxy(database.url);
    const errors: unknown[] = [];
    const ready = { presence, ttlMs: 60_000, renewEveryMs: 100, requestTimeoutMs: 2_000, statsFlushMs: 200 } as const;
    await using locker = openLocker(proxy.url(database.url), { ...ready, onError: (error) => errors.push(error) });
    const locks = await Promise.all(Array.from({ length: 20 }, (_, n) => locker.acquire(`held ${presence} ${n}`)));
    const waits = locks.slice(0, 5).map(({ key }) => locker.acquire(key, { waitMs: 120_000 }));
    for (let outage = 1; outage <= 2; outage += 1) {
      const { errors: before } = locker.stats();
      await proxy.refuse(true);
      proxy.cutAll();
      await until("many have noticed it", () => locker.stats().errors - before >= 10);
      expect(errors).toHaveLength(outage);
      await proxy.refuse(false);
      await until("all are held", () => locks.every(({ held }) => held));
      const { renewed } = locker.stats();
      await until("they are renewed", () => locker.stats().renewed > renewed + 20);
    }
    expect(errors).toEqual([expect.any(UnavailableError), expect.any(UnavailableError)]);
    for (const lock of locks) await lock.release();
    for (const waiting of waits) await (await waiting).release();
  },
);

test.each(presences)(
  "a wait outlasts a restart of the server that takes longer than requestTimeoutMs (presence: %s)",
  async (presence) => {
    const cluster = await startCluster();
    onTestFinished(() => cluster.destroy());
    await using own = await createDatabase({ on: cluster });
    await using locker = openLocker(own, { presence, requestTimeoutMs: 300 });
    await using holder = openLocker(own, { presence: "off", ttlMs: 3_000, keepAlive: false });
    await holder.acquire("a");
    const waiting = locker.acquire("a", { waitMs: 120_000 });
    const late = locker.acquire("b", { waitMs: 120_000 });
    await (await late).release();
    await cluster.stop("immediate");
    const { errors } = locker.stats();
    await until("it has given up at least 3 times", () => locker.stats().errors >= errors + 3);
    const begun = locker.acquire("begun", { waitMs: 120_000 });
    await cluster.start();
    expect([(await waiting).held, (await begun).held]).toEqual([true, true]);
  },
);
