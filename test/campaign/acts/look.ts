import { boundOf } from "../worker/bounds.js";
import type { Act, Flow } from "../worker/flow.js";
import type { Ended } from "../worker/log-file.js";

function anyKey({ args, chance }: Flow): string {
  const { exclusive, shared, semaphore, accounts, waits } = args.keys;
  return chance.pick([...exclusive, ...shared, ...semaphore.map(({ key }) => key), ...accounts, ...waits]);
}

const isThere = (answer: unknown): Ended => ({ outcome: answer === null || answer === false ? "nothing" : "done" });

/** Who has a key. */
export const checkAct: Act = {
  name: "check",
  weight: 4,
  async run(flow) {
    const { args, chance, locker, log } = flow;
    const key = anyKey(flow);
    const boundMs = boundOf(args);
    const { isDone } = chance.is(0.5)
      ? await log.call({ call: "check", keys: [key], boundMs }, () => locker.check(key), isThere)
      : await log.call({ call: "isLocked", keys: [key], boundMs }, () => locker.isLocked(key), isThere);
    return isDone;
  },
};

/** What asks the locker of itself, or only for an answer. */
export const askAct: Act = {
  name: "ask",
  weight: 4,
  async run(flow) {
    const { args, chance, locker, log } = flow;
    const boundMs = boundOf(args);
    const what = chance.pick(["ping", "ready", "debug", "stats", "locks"] as const);
    switch (what) {
      case "ping":
        return (await log.call({ call: "ping", keys: [], boundMs }, () => locker.ping())).isDone;
      case "ready":
        return (await log.call({ call: "ready", keys: [], boundMs }, () => locker.ready())).isDone;
      case "debug": {
        const asked = await log.call({ call: "debug", keys: [], boundMs }, () => locker.debug());
        if (!asked.isDone) log.uncaught(new Error(`debug() rejects: ${asked.failure.message}`));
        else JSON.stringify(asked.value);
        return asked.isDone;
      }
      case "stats": {
        const { acquired } = locker.stats();
        if (chance.is(0.2)) locker.resetStats();
        return acquired >= 0;
      }
      case "locks":
        return looksLikeHeld(flow);
    }
  },
};

/** What the locker lists is what this worker was granted. */
function looksLikeHeld({ locker, log }: Flow): boolean {
  for (const lock of locker.locks()) {
    if (locker.get(lock.key) === undefined)
      log.uncaught(new Error(`locks() lists ${lock.key}, and get() does not find it`));
    if (lock.toJSON().fence !== String(lock.fence))
      log.uncaught(new Error(`toJSON() of ${lock.key} has another fence`));
  }
  return true;
}
