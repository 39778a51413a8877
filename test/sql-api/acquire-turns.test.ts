// SQL clients get their share of a hot key beside lockers, and how often one that waits looks.
import { expect, test } from "vitest";
import { openSession } from "../fencing/session.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { callAcquire, releaseInSql } from "./waiting-call.js";

const database = await createDatabase();
const { sql } = database;

/** Jain's index: 1 when all have had the same number of turns, 1/n when one has had all of them. */
function fairness(turns: readonly number[]): number {
  const sum = turns.reduce((total, each) => total + each, 0);
  return sum ** 2 / (turns.length * turns.reduce((total, each) => total + each ** 2, 0));
}

test("on a hot key three lockers and six SQL clients get the same number of turns", async () => {
  const enough = 180;
  const turns: number[] = [];
  let taken = 0;
  const contend = async (turn: () => Promise<void>): Promise<void> => {
    const place = turns.push(0) - 1;
    while (taken < enough) {
      await turn();
      turns[place] = (turns[place] ?? 0) + 1;
      taken += 1;
    }
  };
  const lockers = Array.from({ length: 3 }, () => openLocker(database));
  const sessions = await Promise.all(Array.from({ length: 6 }, () => openSession(database)));
  const ended = await Promise.allSettled([
    ...lockers.map((locker) =>
      contend(async () => (await locker.acquire("hot", { waitMs: 60_000, keepAlive: false })).release()),
    ),
    ...sessions.map(({ sql: own }) =>
      contend(async () => {
        await releaseInSql(own, "hot", await callAcquire(own, "hot", ", wait => '1 min'"));
      }),
    ),
  ]);
  await Promise.all([...lockers, ...sessions].map((each) => each[Symbol.asyncDispose]()));

  expect(ended.filter(({ status }) => status === "rejected")).toEqual([]);
  expect(fairness(turns)).toBeGreaterThan(0.9);
  expect(Math.min(...turns.slice(3))).toBeGreaterThan(0);
});

interface Standing {
  /** How long ago the key was granted or released for the last time. */
  readonly heldMs: number;
  readonly waitedMs: number;
  /** Live waiters ahead. There are always two dead ones as well. */
  readonly ahead?: number;
  /** For each grant since the last look. */
  readonly turnMs?: number;
}

/** In milliseconds. */
async function sleepOf({ heldMs, waitedMs, ahead = 0, turnMs }: Standing): Promise<number> {
  await sql`delete from leasehold.waiters`;
  await sql`delete from leasehold.leases`;
  await sql`insert into leasehold.leases (key, token, fence, ttl_ms, acquired_at, expires_at, acquisitions)
    values ('k', gen_random_uuid(), 1, 1, '2026-01-01', '2027-01-01', 7)`;
  await sql`insert into leasehold.waiters (key, ticket, token, owner, enqueued_at, alive_until)
    select 'k', n, gen_random_uuid(), 'waiter', clock_timestamp(),
           clock_timestamp() + case when n <= 2 then interval '-1 ms' else interval '1 hour' end
      from generate_series(1, ${ahead + 2}::int) n`;
  const [row] = await sql`
    select round(s.seconds::numeric * 1000, 3)::float8 as ms, s.grants::int
      from (select extract(epoch from timestamptz '2026-01-01')::float8 * 1000 + ${heldMs}::float8 as now) at
     cross join lateral leasehold_internal._seconds_to_look(
       'k', ${ahead + 3}::bigint, at.now - ${waitedMs}, at.now - ${3 * (turnMs ?? 1)}::float8, at.now,
       ${turnMs === undefined ? 7 : 4}::bigint) s`;
  await sql`delete from leasehold.waiters`;
  await sql`delete from leasehold.leases`;
  expect(row?.grants).toBe(7);
  return row?.ms;
}

test.each<[string, Standing, number]>([
  ["the first of the queue, just now", { heldMs: 3, waitedMs: 900 }, 10],
  ["the first, behind a long job", { heldMs: 4_000, waitedMs: 9_000 }, 200],
  ["the first, behind a job of hours", { heldMs: 7_200_000, waitedMs: 3_600_000 }, 1_000],
  ["who has come just now, behind a job of hours", { heldMs: 7_200_000, waitedMs: 0 }, 10],
  ["the sixth, at first", { heldMs: 0, waitedMs: 0, ahead: 5 }, 20],
  ["the sixth, where turns are short", { heldMs: 1, waitedMs: 500, ahead: 5, turnMs: 2 }, 15],
  ["the sixth, where turns are long", { heldMs: 1, waitedMs: 500, ahead: 5, turnMs: 200 }, 60],
  ["the sixth, behind a long job", { heldMs: 4_000, waitedMs: 9_000, ahead: 5 }, 200],
  ["who is far behind", { heldMs: 1, waitedMs: 500, ahead: 300, turnMs: 200 }, 1_000],
])("how long sleeps %s", async (_, standing, ms) => {
  expect(await sleepOf(standing)).toBeCloseTo(ms, 1);
});
