import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { holds } from "./assertions.js";
import type { Process } from "./process.js";
import type { Tests } from "./tests.js";

const KEYS = ["x", "y", "z"];
const ROUNDS = 60;

interface Grant {
  readonly key: string;
  readonly fence: bigint;
  readonly acquiredAtMs: number;
  /** It had not ended before that, by the store's clock: its last expiry, or a look before it was released. */
  heldUntilMs: number;
}

/** A random run of four processes, and what has to be true of it whatever happened. */
export const randomRun: Tests = {
  "in a random run no two hold a key at once, and each grant has a larger fence than the one before": async ({
    one,
    other,
    open,
  }) => {
    const processes = [one, other, await open(), await open()];
    const grants: Grant[] = [];
    await Promise.all(processes.map((process) => work(process, grants)));
    holds(grants.length > ROUNDS / 4, "of 240 looks at 3 keys many are granted", grants.length);
    for (const key of KEYS) {
      const ofKey = grants
        .filter((grant) => grant.key === key)
        .sort((a, b) => a.acquiredAtMs - b.acquiredAtMs || (a.fence < b.fence ? -1 : 1));
      for (const [index, grant] of ofKey.entries()) {
        const before = ofKey[index - 1];
        if (before === undefined) continue;
        holds(grant.fence > before.fence, "a later grant has a larger fence", { before, grant });
        holds(grant.acquiredAtMs >= before.heldUntilMs, "nobody is granted what somebody has", { before, grant });
      }
    }
  },
};

async function work(process: Process, grants: Grant[]): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const key = KEYS[Math.floor(Math.random() * KEYS.length)] as string;
    const token = randomUUID();
    const answer = await process.ask(key, { token, ttlMs: 100 + Math.floor(Math.random() * 50) });
    if (answer.outcome === "granted") {
      const { fence, acquiredAtMs, expiresAtMs } = answer;
      const grant: Grant = { key, fence, acquiredAtMs, heldUntilMs: expiresAtMs };
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
  const { holders, nowMs } = await store.check(key);
  if (holders.some((holder) => holder.fence === fence)) {
    grant.heldUntilMs = Math.min(grant.heldUntilMs, nowMs);
  }
  way < 0.8 ? await store.release({ key, token, fence }) : await store.abandon({ key, token, wasHeld: true });
}
