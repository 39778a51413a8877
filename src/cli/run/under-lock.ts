import type { Lock } from "../../api/lock.js";
import { LeaseLostError } from "../../errors/errors.js";
import { runCodes } from "../exit-codes.js";
import { Child } from "./child.js";
import type { Signals } from "./signals.js";

export interface UnderLockOptions {
  readonly command: readonly [program: string, ...args: string[]];
  readonly graceMs: number;
  readonly signals: Signals;
  /** Called with messages for the user. */
  readonly tell: (what: unknown) => void;
}

/** Runs the command while the lock is held, and ends it when the lock is lost. Releases the lock, and resolves to the exit code. */
export async function runUnderLock(lock: Lock, { command, graceMs, signals, tell }: UnderLockOptions): Promise<number> {
  let child: Child;
  try {
    signals.signal.throwIfAborted();
    signals.hold();
    const env = { ...process.env, LEASEHOLD_KEY: lock.key, LEASEHOLD_FENCE: lock.fence.toString() };
    child = await Child.start({ command, env, graceMs });
  } catch (error) {
    await lock.release().catch(tell);
    throw error;
  }
  signals.to((signal) => {
    if (!child.hears(signal)) child.signal(signal);
  });

  const lost = new Promise<"lost">((resolve) => {
    if (lock.signal.aborted) resolve("lost");
    else lock.signal.addEventListener("abort", () => resolve("lost"), { once: true });
  });
  const outcome = await Promise.race([child.exited, lost]);
  if (outcome === "lost") {
    tell(lock.signal.reason);
    await child.end();
    return runCodes.lost;
  }
  try {
    await lock.release();
  } catch (error) {
    tell(error);
    // The lock was lost before the command had ended, so the command may have overlapped with the next holder.
    if (error instanceof LeaseLostError) return runCodes.lost;
  }
  return outcome;
}
