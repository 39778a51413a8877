// Leaders that are killed, frozen, and told to end, each a process of its own.
import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow, seenAt } from "../support/lease-row.js";
import { until } from "../support/until.js";
import { type Candidate, openCandidate, overlaps } from "./candidate.js";

const database = await createDatabase();
const { sql } = database;

const waiters = async (): Promise<number> => (await sql`select from leasehold.waiters where key = 'leader'`).length;

/** The first leads, the others wait in this order. */
async function line(
  count: number,
  ...[options, lead]: readonly [Parameters<typeof openCandidate>[1], Parameters<typeof openCandidate>[2]?]
): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  for (let n = 0; n < count; n += 1) {
    const candidate = await openCandidate(database, options, lead);
    candidates.push(candidate);
    await (n === 0 ? candidate.leads() : until("it waits", async () => (await waiters()) === n));
  }
  return candidates;
}

test("of three, each next in line leads when the leader is killed: after its takeover delay, and before its TTL", async () => {
  const [a, b, c] = (await line(3, { ttlMs: 60_000, takeoverDelayMs: 1_000 })) as [Candidate, Candidate, Candidate];
  await using _a = a;
  await using _b = b;
  await using _c = c;
  const takeovers = [];
  for (const [leader, next] of [
    [a, b],
    [b, c],
  ] as const) {
    const dead = await leaseRow(sql, "leader");
    await leader.kill();
    await next.leads();
    takeovers.push({ dead, seen: await seenAt(sql, dead.sessionId), row: await leaseRow(sql, "leader") });
  }
  const { over, exit } = await c.end();
  await c.ended();

  expectLeft(database, "sessions");
  for (const { dead, seen, row } of takeovers) {
    expect(row.acquiredAt).toBeGreaterThanOrEqual(seen + 1_000);
    expect(row.acquiredAt).toBeLessThan(dead.expiresAt);
    expect(row.fence).toBeGreaterThan(dead.fence);
  }
  expect(overlaps(a, b, c)).toEqual([]);
  expect([over, exit.code]).toEqual([null, 0]);
  expect((await leaseRow(sql, "leader")).token).toBeNull();
});

test.each(["on", "off"] as const)(
  "a leader that was frozen past its TTL finds its term ended, and campaigns again (presence %s)",
  async (presence) => {
    const [frozen, next] = (await line(2, { ttlMs: 2_000, takeoverDelayMs: 1_000, presence })) as [
      Candidate,
      Candidate,
    ];
    await using _frozen = frozen;
    await using _next = next;
    const old = await leaseRow(sql, "leader");
    frozen.worker.stop();
    await next.leads();
    const row = await leaseRow(sql, "leader");
    frozen.worker.cont();
    const ended = await frozen.ended();
    await until("it waits again", async () => (await waiters()) === 1);
    const { exit } = await next.end();
    await next.ended();
    const again = await frozen.leads();
    await frozen.end();
    await frozen.ended();

    expect(row.acquiredAt).toBeGreaterThanOrEqual(old.expiresAt);
    expect(ended.reason).toBe("expired");
    expect(again.fence).toBeGreaterThan(row.fence);
    expect(exit.code).toBe(0);
    expect(overlaps(frozen, next)).toEqual([]);
  },
);

test("on SIGTERM the leader hands over to the next in line, each to the next, far ahead of any takeover", async () => {
  const candidates = await line(4, { ttlMs: 600_000, takeoverDelayMs: 600_000 });
  const ends = [];
  for (const [index, leader] of candidates.entries()) {
    ends.push(await leader.end());
    await leader.ended();
    await candidates[index + 1]?.leads();
  }
  const left = await leaseRow(sql, "leader");
  for (const candidate of candidates) await candidate.worker.dispose();

  expect(ends.map(({ over, exit }) => [over, exit.code])).toEqual(candidates.map(() => [null, 0]));
  expect(candidates.map(({ beliefs }) => beliefs.length)).toEqual([1, 1, 1, 1]);
  expect(overlaps(...candidates)).toEqual([]);
  expect(left.token).toBeNull();
});

test("two that may lead for so long take turns, and each ends its terms alone", async () => {
  const [a, b] = (await line(2, { ttlMs: 2_000 }, { maxHoldMs: 500 })) as [Candidate, Candidate];
  await using _a = a;
  await using _b = b;
  const reasons = [(await a.ended()).reason];
  for (const candidate of [b, a, b, a]) {
    await candidate.leads();
    reasons.push((await candidate.ended()).reason);
  }
  const ends = [await a.end(), await b.end()];

  expect(reasons).toEqual(reasons.map(() => "max-hold"));
  expect(ends.map(({ over }) => over)).toEqual([null, null]);
  expect(overlaps(a, b)).toEqual([]);
});
