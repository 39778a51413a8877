import type { Terms } from "../log.js";
import type { Act, Flow } from "../worker/flow.js";
import { letGo, release } from "./holding.js";
import { alone, leaseOptions } from "./options.js";
import { tryToTake, waitToTake } from "./take.js";
import { drawWhims, writeGuarded } from "./transaction.js";

function amountOf({ chance }: Flow): number {
  return chance.pick([-1, 1]) * chance.between(1, 20);
}

/** An account is read, and written under the guard of its lock. */
export const writeAct: Act = {
  name: "write",
  weight: 18,
  isPossible: ({ keys, libraries }) => keys.accounts.length > 0 && libraries.length > 0,
  async run(flow) {
    const { args, chance } = flow;
    const key = chance.pick(args.keys.accounts);
    const patience = { kind: "a while", waitMs: chance.between(100, 2_000) } as const;
    const options = leaseOptions(chance);
    const handle = chance.is(0.5)
      ? await waitToTake(flow, key, alone, options, patience)
      : await tryToTake(flow, key, alone, options);
    if (handle === null) {
      await flow.pause(chance.between(0, 30));
      return false;
    }
    const isWritten = await writeGuarded(
      flow,
      { hold: handle.lock, handles: [handle] },
      [amountOf(flow)],
      drawWhims(flow),
    );
    await letGo(flow, handle);
    return isWritten;
  },
};

/** It writes when its lock has expired or was released, and must not get through. */
export const writeLateAct: Act = {
  name: "write late",
  weight: 4,
  isPossible: ({ keys, libraries }) => keys.accounts.length > 0 && libraries.length > 0,
  async run(flow) {
    const { args, chance } = flow;
    const ttlMs = chance.between(100, 600);
    const options = { ttlMs, keepAlive: false };
    const handle = await tryToTake(flow, chance.pick(args.keys.accounts), alone, options);
    if (handle === null) return false;
    const isReleased = chance.is(0.4);
    if (isReleased) await release(flow, handle);
    else await flow.pause(ttlMs + chance.between(-40, 400));
    const isLate = !handle.lock.held;
    const whims = { ...drawWhims(flow), releasesWithin: false };
    const isWritten = await writeGuarded(flow, { hold: handle.lock, handles: [handle] }, [amountOf(flow)], whims);
    if (!isReleased) await letGo(flow, handle);
    return isLate && !isWritten;
  },
};

/** Several write under one share of a key, and change no account. */
export const writeSharedAct: Act = {
  name: "write under a share",
  weight: 5,
  isPossible: ({ keys, libraries }) => keys.shared.length > 0 && keys.semaphore.length > 0 && libraries.length > 0,
  async run(flow) {
    const { args, chance } = flow;
    const semaphore = chance.pick(args.keys.semaphore);
    const [key, terms]: [string, Terms] = chance.is(0.5)
      ? [chance.pick(args.keys.shared), { mode: "shared", weight: 1 }]
      : [semaphore.key, { mode: "semaphore", weight: 1, capacity: semaphore.capacity }];
    const handle = await tryToTake(flow, key, terms, leaseOptions(chance));
    if (handle === null) return false;
    const isWritten = await writeGuarded(flow, { hold: handle.lock, handles: [handle] }, [1], drawWhims(flow));
    await letGo(flow, handle);
    return isWritten;
  },
};
