// A row, or an uncommitted insert, that somebody keeps open holds up its own key alone (P6).
import type postgres from "postgres";
import { beforeAll, expect, test } from "vitest";
import { acquireRows } from "../support/acts.js";
import { openClient } from "../support/client.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const FOR_MS = process.env.LEASEHOLD_LONG ? 8_000 : 1_500;

/** Two databases, used alike and at the same time; in one of them a stranger keeps a transaction open. */
let undisturbed: TestDatabase;
let disturbed: TestDatabase;

beforeAll(async () => {
  undisturbed = await createDatabase();
  disturbed = await createDatabase();
});

interface Stranger {
  readonly name: string;
  /** The key that it holds up. */
  readonly key: string;
  open(sql: postgres.TransactionSql): Promise<unknown>;
}

const strangers: Stranger[] = [
  {
    name: "locks the row of a key",
    key: "theirs",
    open: (sql) => sql`select from leasehold.leases where key = 'theirs' for update`,
  },
  {
    name: "locks the row of a key as a guard does",
    key: "theirs",
    open: (sql) => sql`select from leasehold.leases where key = 'theirs' for key share`,
  },
  {
    name: "locks the row of a lease that is held and renewed",
    key: "kept 0",
    open: (sql) => sql`select from leasehold.leases where key = 'kept 0' for update`,
  },
  {
    name: "has inserted a new key",
    key: "new",
    open: (sql) => sql`insert into leasehold.leases (key, fence, ttl_ms) values ('new', 0, 0)`,
  },
  {
    name: "has acquired a new key",
    key: "new",
    open: (sql) => sql.unsafe(`select outcome from ${acquireRows([{ key: "new", owner: "stranger", ttlMs: 1_000 }])}`),
  },
];

interface Counts {
  /** Acquired and released, of keys that the stranger has nothing to do with. */
  readonly cycles: number;
  readonly renewals: number;
  /** How often its own key was asked for, and granted. */
  readonly tries: number;
  readonly granted: number;
}

/** Works on other keys while the stranger's key is tried and waited for in the same batches, and while locks are renewed. */
async function prepare(database: TestDatabase) {
  const locker = openLocker(database, { ttlMs: 60_000 });
  const keeper = openLocker(database, { ttlMs: 20_000, renewEveryMs: 100 });
  const kept = await Promise.all(Array.from({ length: 20 }, (_, n) => keeper.acquire(`kept ${n}`)));
  await locker.ready();
  const renewed = async () => {
    const { sql } = database;
    const rows = await sql`select key, renewed_at::text as at from leasehold.leases where key ~ '^kept [1-9]'`;
    return new Set(rows.map(({ key, at }) => `${key} ${at}`));
  };

  const run = async (key: string): Promise<Counts> => {
    const counts = { cycles: 0, renewals: 0, tries: 0, granted: 0 };
    const end = performance.now() + FOR_MS;
    const cycle = async (own: string): Promise<void> => {
      while (performance.now() < end) {
        await (await locker.acquire(own)).release();
        counts.cycles += 1;
      }
    };
    const bother = async (): Promise<void> => {
      while (performance.now() < end) {
        const lock = await locker.tryAcquire(key);
        await lock?.release();
        counts.tries += 1;
        counts.granted += lock === null ? 0 : 1;
      }
    };
    const watch = async (): Promise<void> => {
      for (let before = await renewed(); performance.now() < end; ) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        const after = await renewed();
        for (const row of after) counts.renewals += before.has(row) ? 0 : 1;
        before = after;
      }
    };
    const waiting = locker.acquire(key, { waitMs: FOR_MS }).then(
      (lock) => lock.release(),
      () => undefined,
    );
    await Promise.all([...Array.from({ length: 16 }, (_, n) => cycle(`own ${n}`)), bother(), watch()]);
    await waiting;
    expect(kept.every((lock) => lock.held)).toBe(true);
    return counts;
  };
  const close = async () => void (await Promise.all([locker.close(), keeper.close()]));
  return { run, [Symbol.asyncDispose]: close };
}

test.for(strangers.map((stranger) => [stranger.name, stranger] as const))(
  "an open transaction that %s slows no other",
  async ([, { key, open }]) => {
    for (const { sql } of [undisturbed, disturbed]) {
      await sql`delete from leasehold.leases where key in ('theirs', 'new')`;
      await sql`insert into leasehold.leases (key, fence, ttl_ms) values ('theirs', 0, 0)`;
    }
    await using calm = await prepare(undisturbed);
    await using bothered = await prepare(disturbed);
    const stranger = await openClient(disturbed.url);

    let counts: Counts[] = [];
    const rollback = new Error("rolled back");
    const transaction = stranger.begin(async (sql) => {
      await open(sql);
      counts = await Promise.all([calm.run(key), bothered.run(key)]);
      throw rollback;
    });
    await expect(transaction).rejects.toBe(rollback);
    await stranger.end();

    const [alone, beside] = counts;
    // its own key it does hold up
    expect(beside?.tries).toBeGreaterThan(0);
    expect(beside?.granted).toBe(0);
    // usually two fifths; who waits for the stranger gets less than a thirtieth
    expect(beside?.cycles).toBeGreaterThan((alone?.cycles ?? 0) / 10);
    expect(beside?.renewals).toBeGreaterThan((alone?.renewals ?? 0) / 3);
  },
);

test("thirty leases whose rows somebody keeps locked end at their TTL, and no other lease of the process with them", async () => {
  const { sql, url } = disturbed;
  const ttlMs = 3_000;
  const lost = new Set<string>();
  await using proxy = await startProxy(url);
  await using locker = openLocker(proxy.url(url), { ttlMs, onLost: ({ key }) => lost.add(key) });
  const numbered = (name: string) => Array.from({ length: 30 }, (_, n) => `${name} ${n}`);
  const taken = numbered("taken");
  // the last one was locked for a moment, and then stands behind the thirty that are waited for
  const spared = [...numbered("spared"), "passing"];
  const locks = await Promise.all([...taken, ...spared].map((key) => locker.acquire(key)));
  const [stranger, passing] = [await openClient(url), await openClient(url)];

  await stranger.begin(async (theirs) => {
    await passing.begin(async (moment) => {
      await moment`select from leasehold.leases where key = 'passing' for update`;
      expect(await theirs`select from leasehold.leases where key in ${theirs(taken)} for update`).toHaveLength(30);
      await proxy.onStatement(/leasehold_internal\.renew_busy\(/);
    });
    await until("all of the stranger's are lost", () => taken.every((key) => lost.has(key)));
    const { now } = await leaseRow(sql, "passing");
    await until("another TTL has passed", async () => (await leaseRow(sql, "passing")).now > now + ttlMs);
  });
  await Promise.all([stranger.end(), passing.end()]);

  expect([...lost].sort()).toEqual([...taken].sort());
  expect(locks.filter(({ held }) => held).map(({ key }) => key)).toEqual(spared);
  for (const key of spared) await locker.get(key)?.release();
});

test("renew() of a lock whose row somebody keeps locked has no answer in time, and the lock is still held", async () => {
  const { sql, url } = disturbed;
  await using locker = openLocker(url, { ttlMs: 60_000, keepAlive: false, requestTimeoutMs: 1_000 });
  const lock = await locker.acquire("renewed by hand");
  const error = await sql.begin(async (stranger) => {
    await stranger`select from leasehold.leases where key = 'renewed by hand' for no key update`;
    return lock.renew().catch((reason: unknown) => reason);
  });
  expect(error).toMatchObject({ name: "UnavailableError" });
  lock.assertHeld();
  await lock.renew();
  await lock.release();
});
