// What becomes of a lock that was granted: renewed by hand, held for a while, and given back in one of several ways.
import { type Hold, NotHeldError } from "../../../src/index.js";
import { boundOf } from "../worker/bounds.js";
import type { Flow } from "../worker/flow.js";
import type { Handle } from "../worker/handles.js";
import type { Call } from "../worker/log-file.js";

/** Holds it for some steps. */
export async function hold(flow: Flow, handle: Handle): Promise<void> {
  const { chance, handles } = flow;
  const steps = chance.between(0, 3);
  for (let step = 0; step < steps; step += 1) {
    handles.sample(handle);
    await flow.pause(drawHold(flow));
    handles.sample(handle);
    if (chance.is(0.25)) await renew(flow, handle);
    if (chance.is(0.05)) await renewInBackground(flow, handle);
  }
}

function drawHold({ chance }: Flow): number {
  return chance.is(0.08) ? chance.between(200, 1_200) : chance.is(0.3) ? 0 : chance.between(1, 120);
}

export async function renew(flow: Flow, handle: Handle): Promise<boolean> {
  const { args, chance, log, handles } = flow;
  const ttlMs = chance.is(0.3) ? chance.between(500, 4_000) : undefined;
  const { isDone } = await log.call(
    {
      call: "renew",
      keys: [handle.lock.key],
      lock: handle.grant.lock,
      boundMs: boundOf(args),
      ...(ttlMs === undefined ? {} : { ttlMs }),
    },
    () => handle.lock.renew(ttlMs),
  );
  handles.sample(handle);
  return isDone;
}

/** In place of what renewed it so far, for a while. */
async function renewInBackground({ chance, log, pause }: Flow, { lock }: Handle): Promise<void> {
  try {
    const stop = lock.keepAlive({ everyMs: chance.between(20, lock.ttlMs - 1), onError: () => {} });
    await pause(chance.between(0, 100));
    if (chance.is(0.5)) await stop();
  } catch (error) {
    // of a lock that has ended it says so at once
    if (!(error instanceof NotHeldError)) log.uncaught(error);
  }
}

/** Gives it back, mostly. */
export async function letGo(flow: Flow, handle: Handle): Promise<boolean> {
  const { chance } = flow;
  const how = chance.number();
  // nobody gives it back: it ends by its TTL, or when the locker is closed
  if (how < 0.03 && handle.lock.ttlMs <= 2_000) return false;
  if (how < 0.15) return await dispose(flow, handle);
  const isReleased = await release(flow, handle);
  if (how < 0.25) await release(flow, handle);
  if (how < 0.3) await renew(flow, handle);
  return isReleased;
}

export async function release(flow: Flow, handle: Handle): Promise<boolean> {
  return await endBy(flow, handle, {}, () => handle.lock.release());
}

/** As `await using` does, which does not tell whether it came through. */
export async function dispose(flow: Flow, handle: Handle): Promise<boolean> {
  return await endBy(flow, handle, { by: "using" }, () => handle.lock[Symbol.asyncDispose]());
}

async function endBy(
  { args, log, handles, memory }: Flow,
  handle: Handle,
  also: Pick<Call, "by">,
  end: () => Promise<void>,
): Promise<boolean> {
  const { key, ttlMs } = handle.lock;
  const wasEnded = handle.endedAt !== undefined;
  handles.sample(handle);
  const { isDone } = await log.call(
    { call: "release", keys: [key], lock: handle.grant.lock, ...also, boundMs: boundOf(args) },
    end,
  );
  handles.ended(handle);
  handles.sample(handle);
  if (!wasEnded) memory.add({ key, fence: handle.grant.fence, token: handle.grant.token }, Math.max(ttlMs, 4_000));
  return isDone;
}

/** All of a set. The log has a release for each of its locks, for the call concerns each of them. */
export async function releaseSet(
  { args, log, handles, memory }: Flow,
  set: Hold,
  held: readonly Handle[],
  end: () => Promise<void> = () => set.release(),
): Promise<boolean> {
  const calls = held.map(({ lock, grant }) =>
    log.begin({ call: "release", keys: [lock.key], lock: grant.lock, boundMs: boundOf(args) }),
  );
  try {
    await end();
    for (const call of calls) call.end({ outcome: "done" });
    return true;
  } catch (error) {
    for (const call of calls) call.fail(error);
    return false;
  } finally {
    for (const handle of held) {
      const { key, ttlMs } = handle.lock;
      handles.ended(handle);
      handles.sample(handle);
      memory.add({ key, fence: handle.grant.fence, token: null }, Math.max(ttlMs, 4_000));
    }
  }
}
