import { AsyncLocalStorage } from "node:async_hooks";
import type { Lock } from "../api/lock.js";

/** A body that runs under a lock, and the one that it was started from. */
interface Body {
  readonly lock: Lock;
  readonly outer: Body | undefined;
}

const bodies = new AsyncLocalStorage<Body>();

/**
 * Runs a body so that `isInsideOf` knows its lock, in whatever the body awaits. Only for lockers that asked for it: measured at 128 in flight on
 * Node 20 and 24, carrying the context costs 3 us of the 9 us that a withLock takes.
 */
export function runInside<Value>(lock: Lock, body: () => Value): Value {
  return bodies.run({ lock, outer: bodies.getStore() }, body);
}

/** Whether the running code was called from the body of this lock, which therefore cannot end before it does, if it is awaited. */
export function isInsideOf(lock: Lock): boolean {
  for (let body = bodies.getStore(); body !== undefined; body = body.outer) {
    if (body.lock === lock) {
      return true;
    }
  }
  return false;
}
