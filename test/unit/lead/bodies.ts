// Bodies of `lead` that the test ends, over a locker in memory on a clock that the test moves.
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Lock } from "../../../src/index.js";
import { createTestLocker, type TestLocker, type TestLockerOptions } from "../../../src/testing.js";

export interface Begun {
  readonly lock: Lock;
  readonly signal: AbortSignal;
  readonly returns: (value?: string) => void;
  readonly throws: (error: unknown) => void;
}

export interface Stage extends TestLocker, AsyncDisposable {
  /** What `onError` was told. */
  readonly errors: unknown[];
  /** What began so far, the oldest first. */
  readonly begun: Begun[];
  readonly body: (lock: Lock, signal: AbortSignal) => Promise<string | undefined>;
  /** The body that began last. @throws when none has */
  readonly last: Begun;
}

export function openStage(options: TestLockerOptions = {}): Stage {
  const errors: unknown[] = [];
  const begun: Begun[] = [];
  const made = createTestLocker({ onError: (error) => errors.push(error), ...options });
  return {
    ...made,
    errors,
    begun,
    body: (lock, signal) =>
      new Promise((returns, throws) => begun.push({ lock, signal, returns: (value) => returns(value), throws })),
    get last() {
      const last = begun.at(-1);
      if (last === undefined) throw new Error("no body has begun");
      return last;
    },
    [Symbol.asyncDispose]: () => made.locker.close(),
  };
}

/** After all that follows from what has happened, without any time. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await nextTurn();
}
