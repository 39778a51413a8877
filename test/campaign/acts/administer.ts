import type { ForceReleaseOptions } from "../../../src/index.js";
import { boundOf } from "../worker/bounds.js";
import type { Act } from "../worker/flow.js";

/** Keys whose losses are explained by it. Not those of accounts. */
export const forceAct: Act = {
  name: "release by force",
  weight: 2,
  isPossible: ({ mayForce }) => mayForce,
  async run(flow) {
    const { args, chance, locker, log } = flow;
    const { exclusive, shared, semaphore } = args.keys;
    const key = chance.pick([...exclusive, ...shared, ...semaphore.map((one) => one.key)]);
    const options: ForceReleaseOptions = {
      ...(chance.is(0.5) ? { fence: await fenceOf(key) } : {}),
      ...(args.mayForceImmediately === true && chance.is(0.4) ? { immediate: true } : {}),
    };
    const result = await log.call(
      {
        call: "forceRelease",
        keys: [key],
        boundMs: boundOf(args),
        ...(options.immediate ? { by: "immediate" } : {}),
      },
      () => locker.forceRelease(key, options),
      (taken) => ({ outcome: taken === null ? "nothing" : "done" }),
    );
    return result.isDone && result.value !== null;

    /** Of who has it now, or of one who never had it. */
    async function fenceOf(key: string): Promise<bigint> {
      const seen = await log.call(
        { call: "check", keys: [key], boundMs: boundOf(args) },
        () => locker.check(key),
        (info) => ({ outcome: info === null ? "nothing" : "done" }),
      );
      return (seen.isDone ? seen.value?.fence : undefined) ?? 1n;
    }
  },
};

export const sweepAct: Act = {
  name: "sweep",
  weight: 1,
  async run({ args, locker, log }) {
    return (await log.call({ call: "sweep", keys: [], boundMs: boundOf(args) }, () => locker.sweep())).isDone;
  },
};
