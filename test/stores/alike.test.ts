// The store in memory and Postgres decide alike: the same random calls, one after the other, have the same answers.
import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import type { AcquireRequest, Store, StoreContext } from "../../src/api/store.js";
import { memoryStore } from "../../src/store.js";
import { createDatabase } from "../support/database.js";
import { postgresStore } from "../support/postgres-store.js";
import { seeded } from "../support/random.js";

const database = await createDatabase();
const ROUNDS = 12;
const STEPS = 25;
/** An entry in the queue lasts for 3 s unless it is repeated: a round that takes longer says nothing. */
const ROUND_MS = 2_000;

type Way = Pick<AcquireRequest, "mode" | "capacity" | "weight">;
const ways: readonly Way[] = [
  { mode: "exclusive", capacity: null, weight: 1 },
  { mode: "shared", capacity: null, weight: 1 },
  { mode: "shared", capacity: null, weight: 1 },
  { mode: "semaphore", capacity: 2, weight: 1 },
  { mode: "semaphore", capacity: 3, weight: 1 },
  { mode: "semaphore", capacity: 3, weight: 2 },
  { mode: "semaphore", capacity: 5, weight: 3 },
];

const context: StoreContext = {
  requestTimeoutMs: 20_000,
  takeoverDelayMs: 5_000,
  onWake: () => undefined,
  onReconnected: () => undefined,
  onLost: () => undefined,
  onError: () => undefined,
};

/** One of the two stores, seen from one process, and what it has answered. Grants and tickets are told by what they are of. */
class Side {
  readonly fences = new Map<string, bigint>();
  readonly tickets = new Map<string, bigint>();

  readonly store: Store;

  constructor(store: Store) {
    this.store = store;
  }

  async ask(key: string, token: string, way: Way, waits: boolean): Promise<string> {
    const { nowMs } = await this.store.check("clock");
    const answer = await this.store.acquire({
      ...{ key, token, owner: token, ttlMs: 60_000, minHoldMs: 0, maxHoldMs: null, metadata: null, waits },
      ...{ ...way, ticket: this.tickets.get(token) ?? null, notAfterMs: nowMs + 20_000 },
    });
    if (answer.outcome === "granted") this.fences.set(token, answer.fence);
    if (answer.outcome === "queued") this.tickets.set(token, answer.ticket);
    return answer.outcome === "granted" && answer.otherCapacity
      ? `granted beside ${answer.otherCapacity}`
      : answer.outcome;
  }

  async release(key: string, token: string): Promise<string> {
    const fence = this.fences.get(token) ?? 0n;
    return (await this.store.release({ key, token, fence })).outcome;
  }

  async abandon(key: string, token: string): Promise<string> {
    return (await this.store.abandon({ key, token, wasHeld: true })).outcome;
  }

  async renew(key: string, token: string): Promise<string> {
    const answer = await this.store.renew({ key, token, fence: this.fences.get(token) ?? 0n, ttlMs: 60_000 });
    return answer.outcome === "lost" ? answer.reason : answer.outcome;
  }

  /** Who has the key, and how. */
  async state(key: string): Promise<unknown> {
    const { state, mode, holders, waiters } = await this.store.check(key);
    return { state, mode, holders: holders.map(({ owner, weight }) => [owner, weight]), waiters };
  }
}

test("the same calls have the same answers", async () => {
  const random = seeded("alike");
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const sides = [memoryStore(), postgresStore(database)].map((make) => new Side(make(context)));
  for (const { store } of sides) await store.open();
  const differences: unknown[] = [];
  let compared = 0;
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const key = `round:${round}`;
      const asked = new Map<string, Way>();
      const held = new Set<string>();
      const waiting = new Set<string>();
      const log: unknown[] = [];
      const startedAt = performance.now();
      const do_ = async (name: string, token: string, act: (side: Side) => Promise<string>): Promise<string> => {
        const answers: string[] = [];
        for (const side of sides) answers.push(await act(side));
        const states: unknown[] = [];
        for (const side of sides) states.push(await side.state(key));
        log.push([name, token.slice(0, 4), asked.get(token), ...answers]);
        if (performance.now() - startedAt < ROUND_MS) {
          compared += 1;
          const isAlike = answers[0] === answers[1] && JSON.stringify(states[0]) === JSON.stringify(states[1]);
          if (!isAlike) differences.push({ round, states, log: [...log] });
        }
        return answers[0] as string;
      };
      for (let step = 0; step < STEPS && performance.now() - startedAt < ROUND_MS; step += 1) {
        const chance = random();
        if (chance < 0.5 || held.size + waiting.size === 0) {
          const token = randomUUID();
          const way = pick(ways);
          const waits = random() < 0.5;
          asked.set(token, way);
          const outcome = await do_(waits ? "wait" : "try", token, (side) => side.ask(key, token, way, waits));
          if (outcome === "granted") held.add(token);
          if (outcome === "queued") waiting.add(token);
        } else if (chance < 0.65 && waiting.size > 0) {
          const token = pick([...waiting]);
          const way = asked.get(token) as Way;
          const outcome = await do_("look", token, (side) => side.ask(key, token, way, true));
          if (outcome === "granted") {
            waiting.delete(token);
            held.add(token);
          }
        } else if (chance < 0.72) {
          const token = pick([...held, ...waiting]);
          await do_("abandon", token, (side) => side.abandon(key, token));
          held.delete(token);
          waiting.delete(token);
        } else if (chance < 0.78 && held.size > 0) {
          const token = pick([...held]);
          const way = asked.get(token) as Way;
          await do_("again", token, (side) => side.ask(key, token, way, false));
          await do_("renew", token, (side) => side.renew(key, token));
        } else if (held.size > 0) {
          const token = pick([...held]);
          await do_("release", token, (side) => side.release(key, token));
          held.delete(token);
        }
      }
      if (differences.length > 0) break;
    }
  } finally {
    for (const { store } of sides) await store.close();
    await database.sql`truncate leasehold.leases, leasehold.shares, leasehold.waiters`;
  }
  expect(differences).toEqual([]);
  expect(compared).toBeGreaterThan(STEPS);
});
