import type { Lock } from "../api/lock.js";
import { LeaseLostError, NotHeldError, StaleFenceError } from "../errors/errors.js";
import { causesOf } from "../runtime/causes.js";
import { type JoinedSignals, joinSignals } from "../runtime/joined-signals.js";

/** What `lead` runs. */
export type LeadBody<Value> = (lock: Lock, signal: AbortSignal) => Value | PromiseLike<Value>;

/** How a term ended: by the body, or by what says that the lock was lost. */
export type TermEnd<Value> = { readonly value: Value | undefined } | { readonly loss: unknown };

export interface TermInit<Value> {
  readonly lock: Lock;
  readonly body: LeadBody<Value>;
  /** Asks the body to end. */
  readonly stop: AbortSignal | null;
  /** Called when the lock could not be released. */
  readonly onError: (error: unknown) => void;
  /** Called with what the body threw after a loss: nobody else would hear of it. */
  readonly onThrown: (error: unknown) => void;
}

type Settled<Value> = { readonly value: Value | undefined } | { readonly error: unknown };

/**
 * Runs the body under the lock, waits for it, and releases. Its value is undefined once `stop` has fired.
 * @throws what the body threw, unless the lock was lost, or it was asked to end and that is all that it says
 */
export async function runTerm<Value>(init: TermInit<Value>): Promise<TermEnd<Value>> {
  const { lock, stop } = init;
  const signals = joinSignals([lock.signal, stop]);
  const settled = await settle(init, signals);
  signals.end();
  const isStopped = stop?.aborted === true;
  // Read before the release: it fires when the locker is closed, too, while the lock can still be released in order.
  const known: unknown = lock.signal.aborted ? lock.signal.reason : null;
  const released = await release(lock, init.onError);
  if (!("error" in settled)) {
    const loss = known ?? released.loss;
    return loss === null ? { value: isStopped ? undefined : settled.value } : { loss };
  }
  const { error } = settled;
  const isOfGrant = saysNotHeld(error, lock);
  // The body may know it first, from Postgres or from the clocks. Not of a lock that it has released itself.
  const loss = known ?? released.loss ?? (isOfGrant && !released.wasNotHeld ? error : null);
  const isEnd = isOfGrant || isAbort(error, signals.signal);
  if (loss !== null) {
    if (!isEnd) {
      init.onThrown(error);
    }
    return { loss };
  }
  if (isStopped && isEnd) {
    return { value: undefined };
  }
  throw error;
}

async function settle<Value>(
  { lock, body, stop }: TermInit<Value>,
  { signal }: JoinedSignals,
): Promise<Settled<Value>> {
  if (stop?.aborted) {
    return { value: undefined }; // it fired when the lock had just been granted
  }
  try {
    return { value: await body(lock, signal) };
  } catch (error) {
    return { error };
  }
}

interface Released {
  readonly loss: LeaseLostError | null;
  /** The body has released or detached it. */
  readonly wasNotHeld: boolean;
}

async function release(lock: Lock, onError: (error: unknown) => void): Promise<Released> {
  try {
    await lock.release();
  } catch (error) {
    if (error instanceof LeaseLostError) {
      return { loss: error, wasNotHeld: false };
    }
    if (error instanceof NotHeldError) {
      return { loss: null, wasNotHeld: true };
    }
    onError(error);
  }
  return { loss: null, wasNotHeld: false };
}

/** Whether it comes from this very grant not being held. */
function saysNotHeld(error: unknown, { key, fence }: Lock): boolean {
  for (const cause of causesOf(error)) {
    if (cause instanceof NotHeldError || cause instanceof StaleFenceError) {
      return cause.key === key && cause.fence === fence;
    }
  }
  return false;
}

/** Whether it comes from the signal: its reason itself, or what Node and others throw in its place. */
function isAbort(error: unknown, signal: AbortSignal): boolean {
  if (signal.aborted) {
    for (const cause of causesOf(error)) {
      if (cause === signal.reason || (cause instanceof Error && cause.name === "AbortError")) return true;
    }
  }
  return false;
}
