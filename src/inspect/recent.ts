import type { Acquisition } from "../acquisition.js";
import type { LeaseLostError } from "../errors.js";
import type { Lease } from "../lease.js";
import type { Lock } from "../lock.js";
import type { AcquireOutcome, Observer } from "../observer.js";
import type { ResolvedLockerOptions } from "../resolve-options.js";
import { RecentErrors } from "./recent-errors.js";
import { RecentlyLost } from "./recently-lost.js";

/** What went wrong lately in a locker. */
export class Recent implements Observer {
  readonly errors: RecentErrors;
  readonly lostLocks: RecentlyLost = new RecentlyLost();

  constructor({ target, directTarget, sql }: ResolvedLockerOptions) {
    const given = sql?.options as { readonly pass?: unknown } | undefined;
    const passwords = [target?.password, directTarget?.password, given?.pass];
    this.errors = new RecentErrors(passwords.filter((password) => typeof password === "string"));
  }

  /** Also one that is tried again, and that nobody else hears of. */
  failed(error: unknown): void {
    this.errors.add(error);
  }

  acquireEnded(_: Acquisition, outcome: AcquireOutcome, _waitedMs: number, _lock: Lock | null, error: unknown): void {
    if (outcome === "failed") {
      this.errors.add(error);
    }
  }

  lost(lease: Lease, error: LeaseLostError, heldMs: number): void {
    this.lostLocks.add(lease, error, heldMs);
  }
}
