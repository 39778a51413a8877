// Locks over the fake backend, to begin a test with.
import type { AcquireOptions, Lock, LockSet } from "../../../src/index.js";
import { settle } from "../manual-clock.js";
import type { Opened } from "../open.js";
import { watch } from "../outcome.js";

/** `fence`: of the grant; the next one unless it is given. */
export async function hold(
  { locker, backend }: Opened,
  key = "a",
  options: AcquireOptions = {},
  fence?: bigint,
): Promise<Lock> {
  const call = watch(locker.acquire(key, options));
  // Behind a lock of this process a call queues at once: its first answer comes to a look.
  await settle();
  const asked = (backend.attempts.waiting.length > 0 ? backend.attempts : backend.looks).take();
  asked.answer(backend.granted(asked.request.terms.ttlMs, fence === undefined ? {} : { fence }));
  await settle();
  return call.result;
}

/** Locks on several keys, granted at once. */
export async function holdAll({ locker, backend }: Opened, keys: readonly string[]): Promise<LockSet> {
  const call = watch(locker.acquireAll(keys));
  await settle();
  const asked = backend.sets.take();
  const { items, terms } = asked.request;
  asked.answer({ outcome: "answered", grants: items.map(() => backend.granted(terms.ttlMs)), missing: null });
  await settle();
  return call.result;
}
