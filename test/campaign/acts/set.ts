import type { LockSet } from "../../../src/index.js";
import type { Terms } from "../log.js";
import { boundOf } from "../worker/bounds.js";
import type { Act, Flow } from "../worker/flow.js";
import type { Handle } from "../worker/handles.js";
import type { Call } from "../worker/log-file.js";
import { hold, releaseSet } from "./holding.js";
import { alone, leaseOptions, noted, shareOptions } from "./options.js";
import { drawPatience, type Patience, wait } from "./take.js";
import { drawWhims, writeGuarded } from "./transaction.js";

export interface Taken {
  readonly set: LockSet;
  readonly handles: readonly Handle[];
}

/** Several keys at once, some of which are also locked one by one. */
export const setAct: Act = {
  name: "set",
  weight: 8,
  async run(flow) {
    const { args, chance } = flow;
    const { exclusive, waits, shared } = args.keys;
    const isShared = chance.is(0.2) && shared.length > 0;
    const from = isShared ? [...shared, ...exclusive.slice(0, 1)] : [...exclusive, ...waits, ...shared];
    const keys = chance.shuffled(from).slice(0, chance.between(1, 4));
    const taken = await takeSet(flow, keys, isShared ? { mode: "shared", weight: 1 } : alone);
    if (taken === null) return false;
    for (const handle of taken.handles) await hold(flow, handle);
    return await letGoOf(flow, taken);
  },
};

/** From one account to another: both are written, or none. */
export const transferAct: Act = {
  name: "transfer",
  weight: 8,
  isPossible: ({ keys, libraries }) => keys.accounts.length > 1 && libraries.length > 0,
  async run(flow) {
    const { args, chance } = flow;
    const keys = chance.shuffled(args.keys.accounts).slice(0, 2);
    const patience = { kind: "a while", waitMs: chance.between(0, 2_000) } as const;
    const taken = await takeSet(flow, keys, alone, patience);
    if (taken === null) return false;
    const amount = chance.between(1, 20);
    const { set, handles } = taken;
    const isWritten = await writeGuarded(flow, { hold: set, handles }, [-amount, amount], drawWhims(flow));
    await letGoOf(flow, taken);
    return isWritten;
  },
};

async function takeSet(
  flow: Flow,
  keys: readonly string[],
  terms: Terms,
  patience: Patience = drawPatience(flow),
): Promise<Taken | null> {
  const { args, chance, log, locker, handles } = flow;
  // a wait for a set has to end before the first of its locks does
  const { maxHoldMs: _, ...options } = leaseOptions(chance);
  const isTry = chance.is(0.35);
  const waiting = wait(flow, patience);
  const call: Call = {
    call: isTry ? "tryAcquireAll" : "acquireAll",
    keys,
    terms,
    ...noted(options),
    ...(isTry ? { boundMs: boundOf(args) } : waiting.noted),
  };
  const asked = { ...options, ...shareOptions(terms) };
  const run = (): Promise<LockSet | null> =>
    isTry ? locker.tryAcquireAll(keys, asked) : locker.acquireAll(keys, { ...asked, ...waiting.options });
  let taken: Taken | null = null;
  await log.call(call, run, (set) => {
    if (set === null) return { outcome: "nothing" };
    taken = { set, handles: set.locks.map((lock) => handles.add(lock, terms)) };
    return { outcome: "done", grants: taken.handles.map(({ grant }) => grant) };
  });
  waiting.end();
  if (taken === null) await flow.pause(chance.between(0, 30));
  return taken;
}

/** Now and then one of them goes first. */
async function letGoOf(flow: Flow, { set, handles }: Taken): Promise<boolean> {
  const { chance } = flow;
  const [first, ...others] = handles;
  if (first !== undefined && others.length > 0 && chance.is(0.15)) {
    await releaseSet(flow, first.lock, [first]);
    return await releaseSet(flow, set, others);
  }
  return await releaseSet(flow, set, handles);
}
