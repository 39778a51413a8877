// The views over the counters of many processes, some of which are killed.
import { expect, test } from "vitest";
import type { LockerStats } from "../../src/index.js";
import { startWorker } from "../support/child.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

type Numbers = Readonly<Record<string, number>>;

/** The stats of many lockers, by the columns of the view. */
function add(all: readonly LockerStats[]): Numbers {
  const sum = (of: (stats: LockerStats) => number) => all.reduce((total, stats) => total + of(stats), 0);
  return {
    acquired: sum((stats) => stats.acquired),
    refused: sum((stats) => stats.refused),
    timed_out: sum((stats) => stats.timedOut),
    cancelled: sum((stats) => stats.cancelled),
    failed: sum((stats) => stats.failed),
    contended: sum((stats) => stats.contended),
    released: sum((stats) => stats.released),
    renewed: sum((stats) => stats.renewed),
    checked: sum((stats) => stats.checked),
    lost: sum(({ lost }) => lost.expired + lost.taken + lost["max-hold"] + lost.forced),
    lost_expired: sum(({ lost }) => lost.expired),
    lost_taken: sum(({ lost }) => lost.taken),
    lost_max_hold: sum(({ lost }) => lost["max-hold"]),
    lost_forced: sum(({ lost }) => lost.forced),
    taken_over: sum(({ takenOver }) => takenOver.expired + takenOver.orphaned),
    taken_over_expired: sum(({ takenOver }) => takenOver.expired),
    taken_over_orphaned: sum(({ takenOver }) => takenOver.orphaned),
    swept: sum((stats) => stats.swept),
    errors: sum((stats) => stats.errors),
  };
}

const addUp = (lists: readonly (readonly number[])[]) =>
  lists.reduce<number[]>((total, list) => list.map((count, place) => count + (total[place] ?? 0)), []);

test("the views are the sums of all processes, which flush at once; of those that are killed, what they have flushed", async () => {
  const database = await createDatabase();
  const { sql } = database;
  const numbers = async (): Promise<Numbers> => {
    const [row] =
      await sql`select acquired, refused, timed_out, cancelled, failed, contended, released, renewed, checked, lost,
        lost_expired, lost_taken, lost_max_hold, lost_forced, taken_over, taken_over_expired, taken_over_orphaned, swept, errors
      from leasehold.stats`;
    return Object.fromEntries(Object.entries(row ?? {}).map(([name, value]) => [name, Number(value)]));
  };
  await using first = await startCounting(database.url, 1);
  const others = await Promise.all(Array.from({ length: 4 }, (_, number) => startCounting(database.url, number + 2)));
  const workers = [first, ...others];

  // Each has lockers of its own, all of which flush every 100 ms while they work.
  await Promise.all(workers.map((worker) => worker.request("work", { cycles: 60 })));
  const [doomed, ...survivors] = workers;
  if (doomed === undefined) throw new Error("there are five");
  await until("all of it is flushed", async () => {
    const stats = await Promise.all(workers.map((worker) => worker.request<LockerStats[]>("stats")));
    return JSON.stringify(add(stats.flat())) === JSON.stringify(await numbers());
  });
  const known = await doomed.request<LockerStats[]>("stats");

  // What it does from here on may be flushed, or not: it is killed in the middle of it.
  const dying = doomed.request("work", { cycles: 10_000 }).catch(() => undefined);
  await Promise.all(survivors.map((worker) => worker.request("work", { cycles: 60 })));
  await doomed.kill("SIGKILL");
  await dying;
  expectLeft(database, "sessions", "leases", "waiters");
  const rest = (await Promise.all(survivors.map((worker) => worker.request<LockerStats[]>("close")))).flat();

  const least = add([...known, ...rest]);
  const found = await numbers();
  for (const [name, count] of Object.entries(found)) expect(count, name).toBeGreaterThanOrEqual(least[name] ?? 0);
  // The rows of the killed process are such as it once had: its two lockers did two things each at a time.
  expect(Number(found.acquired) - Number(found.released)).toBeLessThanOrEqual(4);

  // Without the killed process, everything is exact: histograms, prefixes and keys, too.
  await sql`delete from leasehold.counters c where exists (
    select from jsonb_array_elements(c.prefixes) p where p ->> 'prefix' = 'worker-1')`;
  expect(await numbers()).toEqual(add(rest));
  const [histograms] = await sql`select to_json(wait_histogram) as waits, to_json(hold_histogram) as holds,
      extract(epoch from wait_mean)::float8 * 1000 as wait from leasehold.stats`;
  expect(histograms?.waits).toEqual(addUp(rest.map(({ waits }) => waits.counts)));
  expect(histograms?.holds).toEqual(addUp(rest.map(({ holds }) => holds.counts)));
  const acquired = rest.reduce((total, stats) => total + stats.acquired, 0);
  const waitedMs = rest.reduce((total, stats) => total + stats.waits.sumMs, 0);
  expect(histograms?.wait).toBeCloseTo(waitedMs / acquired, 2);

  const prefixes =
    await sql`select prefix, acquired::int, refused::int, timed_out::int, contended::int from leasehold.stats_by_prefix`;
  const hot = await sql`select key, contended::int, contended_at_most::int from leasehold.hot_keys`;
  expect(byName(prefixes, "prefix")).toEqual(
    sumByName(
      rest.flatMap((stats) =>
        stats.prefixes.map(({ prefix, timedOut, acquired, refused, contended }) => ({
          name: `${prefix}`,
          counts: { acquired, refused, timed_out: timedOut, contended },
        })),
      ),
    ),
  );
  expect(byName(hot, "key")).toEqual(
    sumByName(
      rest.flatMap((stats) =>
        stats.hotKeys.map(({ key, contended, contendedAtMost }) => ({
          name: key,
          counts: { contended, contended_at_most: contendedAtMost },
        })),
      ),
    ),
  );
  const order = hot.map(({ contended }) => contended);
  expect(order).toEqual([...order].sort((a, b) => b - a));
  await Promise.all(survivors.map((worker) => worker.dispose()));
});

test("active leases, waiters and sessions are those of now", async () => {
  const database = await createDatabase();
  const { sql } = database;
  const now = async () => (await sql`select active_leases, waiters, sessions from leasehold.stats`)[0];
  expect(await now()).toEqual({ active_leases: 0, waiters: 0, sessions: 0 });
  await using holder = openLocker(database);
  await using stateless = openLocker(database, { presence: "off" });
  const lock = await holder.acquire("a");
  const other = await stateless.acquire("b");
  const waiting = holder.acquire("b");
  await until("it waits", async () => (await sql`select from leasehold.waiters`).length === 1);
  expect(await now()).toEqual({ active_leases: 2, waiters: 1, sessions: 1 });
  await other.release();
  await (await waiting).release();
  await lock.release();
  expect(await now()).toEqual({ active_leases: 0, waiters: 0, sessions: 1 });
});

test("before anything was counted there is one row of zeros, without times", async () => {
  const { sql } = await createDatabase();
  const rows = await sql`select * from leasehold.stats`;
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatchObject({
    acquired: "0",
    errors: "0",
    wait_mean: null,
    wait_p50: null,
    wait_histogram: null,
    since: null,
  });
  expect(await sql`select * from leasehold.stats_by_prefix`).toEqual([]);
  expect(await sql`select * from leasehold.hot_keys`).toEqual([]);
});

function startCounting(url: string, number: number) {
  return startWorker("test/counters/counting-worker.ts", { url, number });
}

function byName(rows: readonly Readonly<Record<string, unknown>>[], name: string): Readonly<Record<string, unknown>> {
  return Object.fromEntries(rows.map(({ [name]: value, ...counts }) => [`${value}`, counts]));
}

function sumByName(
  all: readonly { readonly name: string; readonly counts: Numbers }[],
): Readonly<Record<string, Numbers>> {
  const sums: Record<string, Record<string, number>> = {};
  for (const { name, counts } of all) {
    sums[name] ??= {};
    const sum = sums[name];
    for (const [what, count] of Object.entries(counts)) sum[what] = (sum[what] ?? 0) + count;
  }
  return sums;
}
