// The views in Drizzle's words: what they select, over both drivers, and the types of it.
import { eq } from "drizzle-orm";
import { drizzle as drizzleNodePostgres } from "drizzle-orm/node-postgres";
import { drizzle as drizzlePostgresJs } from "drizzle-orm/postgres-js";
import pg from "pg";
import postgres from "postgres";
import { describe, expect, expectTypeOf, test } from "vitest";
import { viewColumns } from "../../scripts/view-columns.js";
import { viewColumns as generated } from "../../src/cli/view-columns.generated.js";
import {
  type ActiveLease,
  activeLeases,
  type Deadlock,
  deadlocks,
  type ExpiredLease,
  expiredLeases,
  type HotKey,
  hotKeys,
  type LiveSession,
  liveSessions,
  type Stats,
  type StatsOfPrefix,
  stats,
  statsByPrefix,
  type Waiting,
  waiting,
} from "../../src/drizzle.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();

const drivers = {
  "postgres.js": () => {
    const client = postgres(database.url, { max: 1, onnotice: () => {} });
    return { db: drizzlePostgresJs(client), [Symbol.asyncDispose]: () => client.end({ timeout: 1 }) };
  },
  "node-postgres": () => {
    const pool = new pg.Pool({ connectionString: database.url, max: 1 });
    return { db: drizzleNodePostgres(pool), [Symbol.asyncDispose]: () => pool.end() };
  },
};

describe.each(["postgres.js", "node-postgres"] as const)("over %s", (driver) => {
  test("every view is selected, with values of the types that are promised", async () => {
    await using opened = drivers[driver]();
    const { db } = opened;
    const [a, b, gone] = ["a", "b", "gone"].map((name) => `${driver}:${name}`) as [string, string, string];
    await using first = openLocker(database, { owner: `${driver}:first` });
    await using second = openLocker(database, { owner: `${driver}:second` });
    await using passing = openLocker(database, { presence: "off", owner: `${driver}:passing`, keepAlive: false });
    const held = await first.acquire(a, { metadata: { rows: [1, null] }, maxHoldMs: 600_000 });
    const other = await second.acquire(b);
    await passing.acquire(gone);
    await database.sql`update leasehold.leases set expires_at = clock_timestamp() - interval '10 s' where key = ${gone}`;
    const end = new AbortController();
    const waits = [first.acquire(b, { signal: end.signal }), second.acquire(a, { signal: end.signal })];
    for (const wait of waits) wait.catch(() => undefined);
    await until(
      "both wait",
      async () => (await db.select().from(waiting).where(eq(waiting.isAlive, true))).length === 2,
    );

    const [lease] = await db.select().from(activeLeases).where(eq(activeLeases.key, a));
    const [wait] = await db.select().from(waiting).where(eq(waiting.key, a));
    const sessions = await db
      .select()
      .from(liveSessions)
      .where(eq(liveSessions.owner, `${driver}:first`));
    const [over] = await db.select().from(expiredLeases).where(eq(expiredLeases.key, gone));
    const cycles = await db.select().from(deadlocks);

    const session = sessions[0]?.id;
    expect(lease).toEqual({
      key: a,
      state: "held",
      mode: "exclusive",
      weight: null,
      capacity: null,
      fence: held.fence,
      owner: `${driver}:first`,
      sessionId: session,
      isSessionAlive: true,
      acquiredAt: held.acquiredAt,
      renewedAt: expect.any(Date),
      expiresAt: lease?.freeAt,
      freeAt: expect.any(Date),
      remaining: expect.stringMatching(/^00:00:\d\d/),
      heldFor: expect.stringMatching(/^00:00:\d\d/),
      ttl: "00:00:30",
      maxHoldUntil: expect.any(Date),
      revokedAt: null,
      waiters: 1,
      blockingPid: null,
      blockingTransaction: null,
      pid: expect.any(Number),
      host: expect.any(String),
      clientAddress: "127.0.0.1",
      applicationName: "leasehold session",
      metadata: { rows: [1, null] },
      acquisitions: 1n,
    });
    expect(wait).toEqual({
      key: a,
      position: 1,
      mode: "exclusive",
      weight: null,
      capacity: null,
      ticket: expect.any(BigInt),
      owner: `${driver}:second`,
      sessionId: expect.any(Number),
      waitingSince: expect.any(Date),
      waitingFor: expect.stringMatching(/^00:00:\d\d/),
      aliveUntil: expect.any(Date),
      isAlive: true,
      blockedBy: `${driver}:first`,
      blockedByFence: held.fence,
      blockedSince: wait?.waitingSince,
      blockingPid: null,
      blockingTransaction: null,
      pid: expect.any(Number),
      host: expect.any(String),
    });
    expect(sessions).toEqual([
      {
        id: expect.any(Number),
        owner: `${driver}:first`,
        pid: lease?.pid,
        host: lease?.host,
        clientAddress: "127.0.0.1",
        applicationName: "leasehold session",
        version: expect.stringMatching(/^\d+\.\d+\.\d+/),
        startedAt: expect.any(Date),
        seenAt: expect.any(Date),
        silentFor: expect.stringMatching(/^00:00:\d\d/),
        isAlive: true,
        leases: 1,
        waits: 1,
      },
    ]);
    expect(over).toEqual({
      key: gone,
      mode: "exclusive",
      weight: null,
      capacity: null,
      fence: expect.any(BigInt),
      owner: `${driver}:passing`,
      sessionId: null,
      reason: "expired",
      expiresAt: expect.any(Date),
      expiredFor: expect.stringMatching(/^00:00:\d\d/),
      waiters: 0,
    });
    expect(cycles).toEqual([
      {
        keys: [b, a],
        owners: [`${driver}:first`, `${driver}:second`],
        sessionIds: [session, wait?.sessionId],
        path: `${driver}:first waits for ${b}, held by ${driver}:second; ${driver}:second waits for ${a}, held by ${driver}:first`,
        since: expect.any(Date),
      },
    ]);
    end.abort();
    await Promise.allSettled(waits);
    await held.release();
    await other.release();
  });

  test("so are the counters of all processes", async () => {
    await using opened = drivers[driver]();
    const { db } = opened;
    const kind = driver === "postgres.js" ? "js" : "node";
    {
      await using first = openLocker(database);
      await using second = openLocker(database);
      const lock = await first.acquire(`${kind}:1`);
      const wait = second.acquire(`${kind}:1`);
      await until("it waits", async () => (await db.select().from(waiting)).length === 1);
      await lock.release();
      await (await wait).release();
    } // closed: what was counted is flushed

    const [total, ...others] = await db.select().from(stats);
    const [prefix] = await db.select().from(statsByPrefix).where(eq(statsByPrefix.prefix, kind));
    const [hot] = await db
      .select()
      .from(hotKeys)
      .where(eq(hotKeys.key, `${kind}:1`));

    expect(others).toEqual([]);
    const text = expect.stringMatching(/^00:00:\d\d/);
    expect(total).toMatchObject({
      acquired: expect.any(BigInt),
      lostMaxHold: 0n,
      activeLeases: 0,
      waiters: 0,
      sessions: 0,
      waitMean: text,
      holdP99: text,
      since: expect.any(Date),
      flushedAt: expect.any(Date),
    });
    expect(total?.acquired).toBeGreaterThanOrEqual(2n); // and all have ended
    expect(total?.holdHistogram?.reduce((sum, count) => sum + count, 0n)).toBe(total?.acquired);
    expect(prefix).toEqual({
      prefix: kind,
      acquired: 2n,
      refused: 0n,
      timedOut: 0n,
      contended: 1n,
      takenOver: 0n,
      waitMean: text,
    });
    expect(hot).toEqual({
      key: `${kind}:1`,
      contended: 1n,
      contendedAtMost: expect.any(BigInt),
      acquired: 1n,
      waitMean: text,
    });
  });
});

test("each view of the schema is there with all of its columns, in their order, here and on the command line", async () => {
  const rows = await database.sql<{ view: string; columns: string }[]>`
    select c.relname::text as view,
           string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), E'\\n' order by a.attnum) as columns
      from pg_attribute a join pg_class c on c.oid = a.attrelid
     where c.relnamespace = 'leasehold'::regnamespace and c.relkind = 'v' and a.attnum > 0
     group by c.relname`;
  const inDatabase = Object.fromEntries(rows.map(({ view, columns }) => [view, columns]));

  expect(rows).toHaveLength(8);
  expect(asText(viewColumns()), "src/drizzle has other columns than src/sql/views").toEqual(inDatabase);
  expect(asText(generated), "run npm run build:migrations").toEqual(inDatabase);
});

/** The columns of each view, one a line. */
function asText(views: Readonly<Record<string, Readonly<Record<string, string>>>>): Record<string, string> {
  const lines = (columns: Readonly<Record<string, string>>) =>
    Object.entries(columns)
      .map(([name, type]) => `${name} ${type}`)
      .join("\n");
  return Object.fromEntries(Object.entries(views).map(([view, columns]) => [view, lines(columns)]));
}

// Checked by `npm run typecheck`.
test("a row has the type that the entry names", () => {
  const db = drizzlePostgresJs.mock();
  const queries = () => ({
    activeLeases: db.select().from(activeLeases),
    waiting: db.select().from(waiting),
    liveSessions: db.select().from(liveSessions),
    expiredLeases: db.select().from(expiredLeases),
    deadlocks: db.select().from(deadlocks),
    stats: db.select().from(stats),
    statsByPrefix: db.select().from(statsByPrefix),
    hotKeys: db.select().from(hotKeys),
    some: db.select({ key: activeLeases.key, pid: activeLeases.pid }).from(activeLeases),
  });
  type Rows = { [Name in keyof ReturnType<typeof queries>]: Awaited<ReturnType<typeof queries>[Name]> };
  expectTypeOf<Rows["activeLeases"]>().toEqualTypeOf<ActiveLease[]>();
  expectTypeOf<Rows["waiting"]>().toEqualTypeOf<Waiting[]>();
  expectTypeOf<Rows["liveSessions"]>().toEqualTypeOf<LiveSession[]>();
  expectTypeOf<Rows["expiredLeases"]>().toEqualTypeOf<ExpiredLease[]>();
  expectTypeOf<Rows["deadlocks"]>().toEqualTypeOf<Deadlock[]>();
  expectTypeOf<Rows["stats"]>().toEqualTypeOf<Stats[]>();
  expectTypeOf<Rows["statsByPrefix"]>().toEqualTypeOf<StatsOfPrefix[]>();
  expectTypeOf<Rows["hotKeys"]>().toEqualTypeOf<HotKey[]>();
  expectTypeOf<Rows["some"]>().toEqualTypeOf<{ key: string; pid: number | null }[]>();
});
