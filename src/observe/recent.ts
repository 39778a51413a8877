import type { Lock } from "../api/lock.js";
import type { ResolvedLockerOptions } from "../config/resolve-options.js";
import { knownTargets } from "../config/resolve-targets.js";
import type { LeaseLostError } from "../errors/errors.js";
import type { AcquireOutcome, ObservedClaim, ObservedLease, Observer } from "./observer.js";
import { RecentErrors } from "./recent-errors.js";
import { RecentlyLost } from "./recently-lost.js";

/** Recent errors and lost locks of a locker. */
export class Recent implements Observer {
  readonly errors: RecentErrors;
  readonly lostLocks: RecentlyLost = new RecentlyLost();

  constructor({ targets, client }: ResolvedLockerOptions) {
    const given = client?.options as { readonly pass?: unknown } | undefined;
    this.errors = new RecentErrors(() => {
      const known = knownTargets(targets);
      const passwords = [known?.target?.password, known?.directTarget?.password, given?.pass];
      return passwords.filter((password) => typeof password === "string" && password !== "") as string[];
    });
  }

  /** Includes errors that are retried and that nobody else is told about. */
  failed(error: unknown): void {
    this.errors.add(error);
  }

  acquireEnded(_: ObservedClaim, outcome: AcquireOutcome, _waitedMs: number, _lock: Lock | null, error: unknown): void {
    if (outcome === "failed") {
      this.errors.add(error);
    }
  }

  lost(lease: ObservedLease, error: LeaseLostError, heldMs: number): void {
    this.lostLocks.add(lease, error, heldMs);
  }
}
