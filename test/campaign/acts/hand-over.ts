import type { AdoptOptions, DetachedLock } from "../../../src/index.js";
import { boundOf, boundOfDetach, statementTimeoutMs } from "../worker/bounds.js";
import type { Act, Flow } from "../worker/flow.js";
import type { Handle } from "../worker/handles.js";
import { hold, letGo } from "./holding.js";
import { alone, leaseOptions } from "./options.js";
import { take, tryToTake } from "./take.js";

/** A lock is given away, and somebody goes on with it: a handle of this process, or SQL with the token. */
export const handOverAct: Act = {
  name: "hand over",
  weight: 5,
  async run(flow) {
    const { args, chance, handles, log } = flow;
    const semaphore = chance.is(0.3) && args.keys.semaphore.length > 0 ? chance.pick(args.keys.semaphore) : undefined;
    const terms = semaphore ? ({ mode: "semaphore", weight: 1, capacity: semaphore.capacity } as const) : alone;
    const key = semaphore?.key ?? chance.pick(args.keys.exclusive);
    const first = await tryToTake(flow, key, terms, leaseOptions(chance));
    if (first === null) return false;
    await hold(flow, first);
    handles.sample(first);
    const detached = await log.call(
      { call: "detach", keys: [key], lock: first.grant.lock, boundMs: boundOfDetach(args) },
      () => first.lock.detach(),
    );
    if (!detached.isDone) {
      await letGo(flow, first);
      return false;
    }
    handles.ended(first);
    handles.sample(first);
    await flow.pause(chance.between(0, 60));
    if (chance.is(0.25)) return await goOnInSql(flow, detached.value);
    return await adopt(flow, detached.value, first);
  },
};

async function adopt(flow: Flow, detached: DetachedLock, first: Handle): Promise<boolean> {
  const { args, chance, locker, memory } = flow;
  const { ttlMs, keepAlive } = leaseOptions(chance);
  const options: AdoptOptions = { ttlMs, keepAlive };
  const { mode, weight, capacity } = first.grant;
  const terms = { mode, ...(weight === undefined ? {} : { weight }), ...(capacity === undefined ? {} : { capacity }) };
  const adopted = await take(
    flow,
    {
      call: "adopt",
      keys: [detached.key],
      lock: first.grant.lock,
      ...(ttlMs === undefined ? {} : { ttlMs }),
      ...(keepAlive === undefined ? {} : { keepAlive }),
      boundMs: boundOf(args),
    },
    terms,
    () => locker.adopt(detached, options),
  );
  if (adopted === null) return false;
  // The token was replaced: what comes late under the old one is refused. A standby that had not seen that yet refuses it when its lease has ended.
  memory.add({ key: detached.key, fence: null, token: detached.token }, 4_000);
  await hold(flow, adopted);
  return await letGo(flow, adopted);
}

/** Whoever has the token may renew and release, without adopting it. */
async function goOnInSql(flow: Flow, { key, token, fence }: DetachedLock): Promise<boolean> {
  const { args, chance, data, log, memory } = flow;
  const boundMs = args.connectTimeoutMs + statementTimeoutMs(args);
  if (chance.is(0.7)) {
    await log.call({ call: "renew", keys: [key], by: "SQL", boundMs }, () =>
      data.query("select leasehold.renew($1::text, $2::uuid)", [key, token]),
    );
    await flow.pause(chance.between(0, 60));
  }
  const released = await log.call(
    { call: "release", keys: [key], by: "SQL", boundMs },
    () => data.query("select leasehold.release($1::text, $2::uuid) as released", [key, token]),
    ([row]) => ({ outcome: row?.released === true ? "done" : "nothing" }),
  );
  memory.add({ key, fence: String(fence), token }, 4_000);
  return released.isDone && released.value[0]?.released === true;
}
