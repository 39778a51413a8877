import type { Lock } from "../api/lock.js";
import { isPool, type PostgresClient } from "../api/postgres-client.js";
import { addressOf } from "../config/pool-address.js";
import type { ResolvedLockerOptions } from "../config/resolve-options.js";
import { knownTargets } from "../config/resolve-targets.js";
import type { LeaseLostError } from "../errors/errors.js";
import type { Clock } from "../runtime/clock.js";
import type { AcquireOutcome, ObservedClaim, ObservedLease, Observer } from "./observer.js";
import { RecentErrors } from "./recent-errors.js";
import { RecentlyLost } from "./recently-lost.js";

/** Recent errors and lost locks of a locker. */
export class Recent implements Observer {
  readonly errors: RecentErrors;
  readonly lostLocks: RecentlyLost;

  constructor(clock: Clock, { targets, client }: ResolvedLockerOptions) {
    this.lostLocks = new RecentlyLost(clock);
    this.errors = new RecentErrors(clock, () => {
      const known = knownTargets(targets);
      const passwords = [
        known?.target?.password,
        known?.directTarget?.password,
        client === null ? null : passwordOf(client),
      ];
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

/** Errors may quote it. */
function passwordOf(client: PostgresClient): unknown {
  return isPool(client) ? addressOf(client).password : (client.options as { readonly pass?: unknown }).pass;
}
