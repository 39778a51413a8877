import type { Terms } from "../log.js";
import type { Act, Flow } from "../worker/flow.js";
import { hold, letGo } from "./holding.js";
import { alone, leaseOptions } from "./options.js";
import { tryToTake, waitToTake } from "./take.js";
import { tryAndRun, waitAndRun } from "./with-lock.js";

/** A read lock, and now and then the same key alone. */
export const readAct: Act = {
  name: "read",
  weight: 10,
  isPossible: ({ keys }) => keys.shared.length > 0,
  async run(flow) {
    const { args, chance } = flow;
    const key = chance.pick(args.keys.shared);
    return await share(flow, key, chance.is(0.25) ? alone : { mode: "shared", weight: 1 });
  },
};

/** A part of a semaphore, and seldom all of it. */
export const semaphoreAct: Act = {
  name: "semaphore",
  weight: 10,
  isPossible: ({ keys }) => keys.semaphore.length > 0,
  async run(flow) {
    const { args, chance } = flow;
    const { key, capacity } = chance.pick(args.keys.semaphore);
    const weight = chance.is(0.5) ? 1 : chance.between(1, capacity);
    return await share(flow, key, chance.is(0.1) ? alone : { mode: "semaphore", weight, capacity });
  },
};

const mixedKey = "mixed:1";

/** A key whose askers do not agree on its capacity, and some of which read it. */
export const mixedAct: Act = {
  name: "mixed capacities",
  weight: 3,
  isPossible: ({ keys }) => keys.semaphore.length > 0,
  async run(flow) {
    const { chance } = flow;
    const capacity = chance.pick([2, 3, 5]);
    const part: Terms = { mode: "semaphore", weight: chance.between(1, 2), capacity };
    return await share(flow, mixedKey, chance.is(0.2) ? { mode: "shared", weight: 1 } : part);
  },
};

async function share(flow: Flow, key: string, terms: Terms): Promise<boolean> {
  const { chance } = flow;
  const how = chance.number();
  if (how < 0.15) return await waitAndRun(flow, key, terms);
  if (how < 0.25) return await tryAndRun(flow, key, terms);
  const options = leaseOptions(chance);
  const handle = how < 0.6 ? await waitToTake(flow, key, terms, options) : await tryToTake(flow, key, terms, options);
  if (handle === null) {
    await flow.pause(chance.between(0, 30));
    return false;
  }
  await hold(flow, handle);
  return await letGo(flow, handle);
}
