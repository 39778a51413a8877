// Queues of thousands: everybody is served in order, and one statement reads what it needs and no more.
import { expect, test } from "vitest";
import type { Lock } from "../../src/index.js";
import { openSession } from "../fencing/session.js";
import {
  abandonRows,
  acquireRows,
  type Expression,
  expression,
  firstAttemptRows,
  keepEntriesRows,
  releaseRows,
} from "../support/acts.js";
import { createDatabase } from "../support/database.js";
import { tokenOf } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { isQueued, queueOf, untilQueued } from "./queue.js";

const database = await createDatabase();
const { sql } = database;
const LONG = 300_000;

test("1,000 waiters of two lockers are all served, in the order of their tickets", { timeout: LONG }, async () => {
  const options = { waitMs: Number.POSITIVE_INFINITY };
  await using holder = openLocker(database);
  const lockers = [openLocker(database, options), openLocker(database, options)] as const;
  await Promise.all(lockers.map((locker) => locker.ready()));
  const held = await holder.acquire("queue");
  const served: { readonly token: string; readonly fence: bigint }[] = [];
  const waits = Array.from({ length: 1_000 }, async (_, n) => {
    const lock = await (lockers[n % 2] ?? holder).acquire("queue");
    served.push({ token: await tokenOf(sql, "queue"), fence: lock.fence });
    await lock.release();
  });
  const queue = await until(
    "all wait in the queue",
    async () => {
      const rows = await queueOf(database, "queue");
      return rows.length === 1_000 && rows;
    },
    { timeoutMs: LONG },
  );
  await held.release();
  await Promise.all(waits);
  await Promise.all(lockers.map((locker) => locker.close()));

  expect(served.map(({ token }) => token)).toEqual(queue.map(({ token }) => token));
  expect(served.every(({ fence }, n) => n === 0 || fence > (served[n - 1]?.fence ?? 0n))).toBe(true);
  expect(await isQueued(database, "queue")).toBe(false);
});

test("an abort of 3,000 waits at once leaves a free key, which the next try gets", { timeout: LONG }, async () => {
  await using holder = openLocker(database);
  await using locker = openLocker(database, { waitMs: Number.POSITIVE_INFINITY });
  const held = await holder.acquire("aborted");
  const controller = new AbortController();
  const reason = new Error("all of you");
  const ends = Array.from({ length: 3_000 }, () =>
    locker.acquire("aborted", { signal: controller.signal }).then(
      () => "granted",
      (error: unknown) => error,
    ),
  );
  await until("all wait in the queue", async () => (await queueOf(database, "aborted")).length === 3_000, {
    timeoutMs: LONG,
  });
  await held.release();
  controller.abort(reason);
  expect((await Promise.all(ends)).every((end) => end === reason || end === "granted")).toBe(true);

  const lock = await until("the last one granted before it was aborted has let go", () => locker.tryAcquire("aborted"));
  await (lock as Lock).release();
  await until("the queue is empty", async () => (await queueOf(database, "aborted")).length === 0, { timeoutMs: LONG });
});

test("a try waits for those of its own process who leave the queue, and for nobody else's", async () => {
  await using holder = openLocker(database);
  await using locker = openLocker(database);
  const held = await holder.acquire("left");
  const controller = new AbortController();
  // few: a try waits for a second at most, however slow the machine is
  const waits = Array.from({ length: 5 }, () =>
    locker.acquire("left", { signal: controller.signal }).catch(() => null),
  );
  await untilQueued(database, "left", 5);
  await using session = await openSession(database);
  await session.begin();
  await session.run("update leasehold.leases set token = null, session_id = null where key = 'left'"); // nobody is told
  controller.abort(); // before it is free: none of them is granted it
  await session.commit();
  const lock = await locker.tryAcquire("left");
  expect(lock).not.toBeNull();
  await Promise.all(waits);
  await lock?.release();
  await expect(held.release()).rejects.toMatchObject({ code: "lease-lost" });
});

test("a waiter behind another of its process keeps its entry without a look, and its position when the queue was lost", async () => {
  await using holder = openLocker(database);
  await using locker = openLocker(database, { waitMs: Number.POSITIVE_INFINITY });
  const held = await holder.acquire("kept");
  const waits = Array.from({ length: 20 }, () => locker.acquire("kept"));
  const queue = await untilQueued(database, "kept", 20);
  const [first] = queue;
  const lasts = queue.at(-1)?.aliveMs ?? 0;
  // longer than an entry lasts
  const kept = await until("all were kept once more", async () => {
    const now = await queueOf(database, "kept");
    return now.every(({ aliveMs }) => aliveMs > lasts + 3_000) && now;
  });
  expect(kept.map(({ token, ticket }) => [token, ticket])).toEqual(queue.map(({ token, ticket }) => [token, ticket]));

  await sql`delete from leasehold.waiters where key = 'kept' and token <> ${first?.token ?? ""}::uuid`;
  const back = await untilQueued(database, "kept", 20);
  expect(back.map(({ token, ticket }) => [token, ticket])).toEqual(queue.map(({ token, ticket }) => [token, ticket]));
  const served: string[] = [];
  const rest = waits.map(async (wait) => {
    const lock = await wait;
    served.push(await tokenOf(sql, "kept"));
    await lock.release();
  });
  await held.release();
  await Promise.all(rest);
  expect(served).toEqual(queue.map(({ token }) => token));
});

test("entries are kept by the first waiter: when it is aborted, the next one looks at once", async () => {
  await using holder = openLocker(database);
  await using locker = openLocker(database, { waitMs: Number.POSITIVE_INFINITY });
  const held = await holder.acquire("first gone");
  const controller = new AbortController();
  const gone = locker.acquire("first gone", { signal: controller.signal }).catch((error: unknown) => error);
  await untilQueued(database, "first gone", 1);
  const next = locker.acquire("first gone");
  await untilQueued(database, "first gone", 2);
  controller.abort(new Error("gone"));
  expect(await gone).toMatchObject({ message: "gone" });
  await held.release();
  await (await next).release();
});

test("when Postgres does not answer until waitMs is over, everybody who waits is told, not only the first", {
  timeout: LONG,
}, async () => {
  await using holder = openLocker(database);
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), {
    waitMs: 8_000,
    requestTimeoutMs: 1_000,
  });
  await locker.ready();
  const held = await holder.acquire("silent");
  const ends = Array.from({ length: 30 }, () => locker.acquire("silent").catch((error: unknown) => error));
  await untilQueued(database, "silent", 30);
  proxy.blackhole();
  for (const end of await Promise.all(ends)) {
    expect(end).toMatchObject({ name: "UnavailableError" });
  }
  proxy.heal();
  await until("the queue is empty", async () => (await queueOf(database, "silent")).length === 0, { timeoutMs: LONG });
  await held.release();
});

const statistics = [
  ["never analyzed", async () => undefined],
  ["analyzed when empty", async () => sql`analyze leasehold.waiters, leasehold.leases`],
  ["analyzed when full", async () => undefined],
  [
    // then the index of the tokens looks cheaper than that of the tickets
    "when 100,000 had waited for a key each",
    async () => {
      await sql`insert into leasehold.waiters (key, ticket, token, owner, enqueued_at, alive_until)
        select 'key ' || n, n, gen_random_uuid(), 'waiter', clock_timestamp(), clock_timestamp() from generate_series(1, 100000) n`;
      await sql`analyze leasehold.waiters`;
      await sql`delete from leasehold.waiters`;
      await sql`vacuum leasehold.waiters`;
    },
  ],
] as const;

test.each(statistics)(
  "one look, one new entry, one release and one end read a few rows of a long queue: %s",
  async (when, analyze) => {
    const [token, key] = ["00000000-0000-0000-0000-000000000001", `rows ${when}`];
    await sql`truncate leasehold.waiters, leasehold.leases`;
    await sql`select setval('leasehold.tickets', 1000000)`;
    if (when === "never analyzed")
      await sql`delete from pg_statistic where starelid in ('leasehold.waiters'::regclass, 'leasehold.leases'::regclass)`;
    await analyze();
    await sql`alter table leasehold.waiters set (autovacuum_enabled = off)`;
    await sql`insert into leasehold.leases (key, token, fence, ttl_ms, acquired_at, expires_at, queued)
    values (${key}, ${token}::uuid, 1, 1000, clock_timestamp(), clock_timestamp() + interval '1 hour', true)`;
    await sql`insert into leasehold.waiters (key, ticket, token, owner, enqueued_at, alive_until)
    select ${key}, n, ('00000000-0000-0000-0001-' || lpad(n::text, 12, '0'))::uuid, 'waiter', clock_timestamp(), clock_timestamp() + interval '1 hour'
      from generate_series(1, 3000) n`;
    if (when === "analyzed when full") await sql`analyze leasehold.waiters, leasehold.leases`;
    const waiter = (n: number) => expression(`('00000000-0000-0000-0001-' || lpad('${n}', 12, '0'))::uuid`);
    const look = (who: Expression, waits: boolean) =>
      `select outcome from ${acquireRows([{ key, token: who, waits }], { takeoverMs: null })}`;
    const first = firstAttemptRows([{ key, token: expression("gen_random_uuid()") }]);
    const acts: readonly (readonly [string, string])[] = [
      ["a first attempt", `select from ${first} a`],
      ["a try", look(expression("gen_random_uuid()"), false)],
      ["a new entry", look(expression("gen_random_uuid()"), true)],
      ["a look from the middle", look(waiter(1500), true)],
      ["an entry kept", `select from ${keepEntriesRows([{ key, token: waiter(1501) }])}`],
      ["an end", `select from ${abandonRows([{ key, token: waiter(1502), wasHeld: false }], { isRelaxed: true })}`],
      ["a release", `select from ${releaseRows([{ key, token, fence: 1 }], { isRelaxed: true })} a`],
      ["a grant to the first", look(waiter(1), true)],
      ["a renewal in SQL", `select leasehold.renew('${key}', ${waiter(1).text})`],
    ];
    for (const [act, statement] of acts) {
      const read = await sql.begin(async (tx) => {
        const count = async () => {
          const [row] =
            await tx`select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int as n from pg_stat_xact_user_tables
          where schemaname = 'leasehold' and relname in ('waiters', 'leases')`;
          return row?.n as number;
        };
        const before = await count();
        await tx.unsafe(statement);
        return (await count()) - before;
      });
      expect(read, act).toBeLessThan(40);
    }
    await sql`truncate leasehold.waiters, leasehold.leases`;
  },
);
