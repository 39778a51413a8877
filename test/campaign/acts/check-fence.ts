import { boundOf } from "../worker/bounds.js";
import type { Act } from "../worker/flow.js";
import { letGo } from "./holding.js";
import { alone, leaseOptions } from "./options.js";
import { tryToTake } from "./take.js";

/** A write elsewhere, which is checked by the fence alone; now and then long after the lock. */
export const checkFenceAct: Act = {
  name: "check fence",
  weight: 4,
  async run(flow) {
    const { args, chance, log, locker } = flow;
    const key = chance.pick(args.keys.exclusive);
    const handle = await tryToTake(flow, key, alone, leaseOptions(chance));
    if (handle === null) return false;
    const isLate = chance.is(0.25);
    if (isLate) await letGo(flow, handle);
    await flow.pause(chance.between(0, isLate ? 300 : 30));
    const resource = `file of ${key}`.slice(0, 500);
    const { isDone } = await log.call(
      { call: "checkFence", keys: [resource], lock: handle.grant.lock, boundMs: boundOf(args) },
      () => locker.checkFence(resource, handle.lock.fence),
    );
    if (!isLate) await letGo(flow, handle);
    return isDone;
  },
};
