import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { AcquireRequest } from "../../api/store.js";
import { holds } from "./assertions.js";
import type { Process } from "./process.js";
import { part, READ } from "./shares.js";
import type { Tests } from "./tests.js";

const KEYS = ["x", "y"];
const ROUNDS = 60;
/** How a key is asked for. */
const ways: readonly Partial<AcquireRequest>[] = [{}, READ, READ, part(2), part(3), part(3, 2)];

interface Grant {
  readonly key: string;
  readonly fence: bigint;
  readonly terms: Partial<AcquireRequest>;
  readonly acquiredAtMs: number;
  /** It had not ended before that, by the store's clock: its last expiry, or a look before it was released. */
  heldUntilMs: number;
}

/** A random run of four processes that share keys, or want them alone. */
export const randomShares: Tests = {
  "in a random run nobody has a key alone beside others, and no capacity is exceeded": async ({ one, other, open }) => {
    const processes = [one, other, await open(), await open()];
    const grants: Grant[] = [];
    await Promise.all(processes.map((process) => work(process, grants)));
    holds(grants.length > ROUNDS / 4, "of 240 looks at 2 keys many are granted", grants.length);
    for (const grant of grants) {
      const before = grants.filter(({ key, fence }) => key === grant.key && fence < grant.fence);
      const together = [grant, ...before.filter(({ heldUntilMs }) => heldUntilMs > grant.acquiredAtMs)];
      const isAlone = together.some(({ terms }) => (terms.mode ?? "exclusive") === "exclusive");
      holds(together.length === 1 || !isAlone, "nobody has a key alone beside others", together);
      const taken = together.reduce((sum, { terms }) => sum + (terms.weight ?? 1), 0);
      const capacity = Math.min(...together.map(({ terms }) => terms.capacity ?? Number.POSITIVE_INFINITY));
      holds(taken <= capacity, "the weights never exceed the smallest capacity", together);
      const isLater = before.every(({ acquiredAtMs }) => acquiredAtMs <= grant.acquiredAtMs);
      holds(isLater, "a later grant has a larger fence", { grant, before });
    }
  },
};

async function work(process: Process, grants: Grant[]): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const key = any(KEYS);
    const terms = any(ways);
    const token = randomUUID();
    const answer = await process.ask(key, { ...terms, token, ttlMs: 100 + Math.floor(Math.random() * 50) });
    if (answer.outcome === "granted") {
      const { fence, acquiredAtMs, expiresAtMs } = answer;
      const grant: Grant = { key, fence, terms, acquiredAtMs, heldUntilMs: expiresAtMs };
      grants.push(grant);
      await hold(process, grant, token);
    } else {
      await sleep(Math.random() * 10);
    }
  }
}

/** Works for a while, renews perhaps, and then releases, gives up, or lets it expire. */
async function hold({ store }: Process, grant: Grant, token: string): Promise<void> {
  const { key, fence } = grant;
  await sleep(Math.random() * 10);
  if (Math.random() < 0.3) {
    const renewed = await store.renew({ key, token, fence, ttlMs: 100 });
    if (renewed.outcome === "renewed") {
      grant.heldUntilMs = renewed.expiresAtMs;
    }
  }
  const way = Math.random();
  if (way < 0.1) {
    return; // it expires
  }
  const { nowMs } = await store.check(key);
  grant.heldUntilMs = Math.min(grant.heldUntilMs, nowMs);
  way < 0.8 ? await store.release({ key, token, fence }) : await store.abandon({ key, token, wasHeld: true });
}

function any<Item>(items: readonly Item[]): Item {
  return items[Math.floor(Math.random() * items.length)] as Item;
}
