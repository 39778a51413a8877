import type { Act } from "../worker/flow.js";
import { hold, letGo } from "./holding.js";
import { alone, leaseOptions } from "./options.js";
import { tryToTake, waitToTake } from "./take.js";

/** A key alone, tried once. */
export const tryAct: Act = {
  name: "try",
  weight: 10,
  async run(flow) {
    const { args, chance } = flow;
    const handle = await tryToTake(flow, chance.pick(args.keys.exclusive), alone, leaseOptions(chance));
    if (handle === null) {
      await flow.pause(chance.between(0, 30));
      return false;
    }
    await hold(flow, handle);
    return await letGo(flow, handle);
  },
};

/** A key that many want, waited for in one of the ways that there are. */
export const waitAct: Act = {
  name: "wait",
  weight: 12,
  async run(flow) {
    const { args, chance } = flow;
    const key = chance.is(0.75) ? chance.pick(args.keys.waits) : chance.pick(args.keys.exclusive);
    const handle = await waitToTake(flow, key, alone, leaseOptions(chance));
    if (handle === null) return false;
    await hold(flow, handle);
    return await letGo(flow, handle);
  },
};

/** A lock that nobody renews, kept beyond its TTL: it must not be believed then. */
export const expireAct: Act = {
  name: "expire",
  weight: 2,
  async run(flow) {
    const { args, chance, handles } = flow;
    const options = { ttlMs: chance.between(100, 800), keepAlive: false };
    const handle = await tryToTake(flow, chance.pick(args.keys.exclusive), alone, options);
    if (handle === null) return false;
    await flow.pause(options.ttlMs + chance.between(-50, 300));
    handles.sample(handle);
    const isOver = !handle.lock.held;
    await letGo(flow, handle);
    return isOver;
  },
};

/** Held beyond its `maxHoldMs`, however often it is renewed. */
export const overstayAct: Act = {
  name: "overstay",
  weight: 1,
  async run(flow) {
    const { args, chance, handles } = flow;
    const maxHoldMs = chance.between(20, 400);
    const options = { ...leaseOptions(chance), maxHoldMs };
    const handle = await tryToTake(flow, chance.pick(args.keys.exclusive), alone, options);
    if (handle === null) return false;
    await flow.pause(maxHoldMs + chance.between(0, 150));
    handles.sample(handle);
    const isOver = !handle.lock.held;
    await letGo(flow, handle);
    return isOver;
  },
};
