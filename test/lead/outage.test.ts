// Postgres crashes under leaders, and comes back: sooner and later than they can bear.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cluster, startCluster } from "../support/cluster.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { until } from "../support/until.js";
import { openCandidate, overlaps } from "./candidate.js";

let cluster: Cluster;
let database: TestDatabase;
const presences = ["on", "off"] as const;

beforeAll(async () => {
  cluster = await startCluster();
  database = await createDatabase({ on: cluster });
});

afterAll(async () => {
  await database.drop();
  await cluster.destroy();
});

const waiters = async (): Promise<number> =>
  (await database.sql`select from leasehold.waiters where key = 'leader'`).length;

test.each(presences)(
  "a term outlasts a restart of Postgres, and so does the line behind it (presence %s)",
  async (presence) => {
    const options = { ttlMs: 60_000, takeoverDelayMs: 1_000, presence };
    await using leader = await openCandidate(database, options);
    const first = await leader.leads();
    await using next = await openCandidate(database, options);
    await until("it waits", async () => (await waiters()) === 1);

    await cluster.restart("immediate");
    // the queue is unlogged: what is in it came after the crash
    await until("it waits again", async () => (await waiters().catch(() => 0)) === 1);
    const { over } = await leader.end();
    const ended = await leader.ended();
    const second = await next.leads();
    await next.end();
    await next.ended();

    expect(ended).toMatchObject({ fence: first.fence, reason: null });
    expect(over).toBeNull();
    expect(second.fence).toBeGreaterThan(first.fence);
    expect(overlaps(leader, next)).toEqual([]);
  },
);

test.each(presences)(
  "an outage longer than the TTL ends the term and no lead: when there is a server, one of them leads, then the other (presence %s)",
  async (presence) => {
    const options = { ttlMs: 2_000, takeoverDelayMs: 1_000, requestTimeoutMs: 1_000, presence };
    await using a = await openCandidate(database, options);
    const first = await a.leads();
    await using b = await openCandidate(database, options);
    await until("it waits", async () => (await waiters()) === 1);

    await cluster.stop("immediate");
    const ended = await a.ended();
    // both have looked in vain, and more than once: no time is asserted
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    await cluster.start();
    const winner = await Promise.race([a, b].map((candidate) => candidate.leads().then(() => candidate)));
    const loser = winner === a ? b : a;
    await until("the other one waits", async () => (await waiters().catch(() => 0)) === 1);
    const ends = [await winner.end()];
    await winner.ended();
    await until("it leads", () => loser.beliefs.some(({ fence }) => fence > first.fence));
    ends.push(await loser.end());
    await loser.ended();

    expect(ended.reason).toBe("expired");
    expect(ends.map(({ over, exit }) => [over, exit.code])).toEqual([
      [null, 0],
      [null, 0],
    ]);
    expect(overlaps(a, b)).toEqual([]);
  },
);
