import type { Hold } from "../api/hold.js";
import { LeaseLostError, NotHeldError } from "../errors/errors.js";

/**
 * Runs the body under a lock, or several, that are held. Waits for the body, then for `release`, which resolves to the loss, if one was lost.
 * @throws the body's own error; LeaseLostError when the body returned but the lock was lost meanwhile
 */
export async function runUnder<Held extends Hold, Value>(
  lock: Held,
  body: (lock: Held) => Value | PromiseLike<Value>,
  release: (lock: Held) => Promise<LeaseLostError | null>,
): Promise<Value> {
  let value: Value;
  try {
    value = await body(lock);
  } catch (error) {
    await release(lock);
    throw error;
  }
  const loss = await release(lock);
  if (loss !== null) {
    throw loss;
  }
  return value;
}

/** Releases without throwing. Resolves to the loss, if the lock was lost. It is no failure if the body has released the lock itself. */
export async function letGo(lock: Hold, onError: (error: unknown) => void): Promise<LeaseLostError | null> {
  try {
    await lock.release();
  } catch (error) {
    if (error instanceof LeaseLostError) {
      return error;
    }
    if (!(error instanceof NotHeldError)) {
      onError(error);
    }
  }
  return null;
}
