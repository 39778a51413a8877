import type { HolderInfo } from "../errors/errors.js";
import { Guard } from "../guard/guard.js";
import type { Activity } from "../runtime/activity.js";
import { withTimeoutOf } from "../runtime/timeout.js";
import type { Backend } from "../store/backend.js";
import type { Holder } from "../store/messages.js";
import type { Lease } from "./lease.js";
import type { Renewals } from "./renewals.js";

/** How long a refused guard waits for the answer to who holds the key now. */
const HOLDER_MS = 1_000;

export interface GuardsInit {
  readonly backend: Backend;
  readonly activity: Activity;
  readonly renewals: Renewals;
  readonly toInfo: (key: string, holder: Holder | null) => HolderInfo | null;
  /** Called when a guard was asked for in another database, with what finds out which one is the locker's. */
  readonly addLookup: (lookup: Promise<void>) => void;
}

/** Makes the guards of leases: what transactions are bound to a lock with. */
export class Guards {
  readonly #init: GuardsInit;

  constructor(init: GuardsInit) {
    this.#init = init;
  }

  /** @throws {LeaseLostError} @throws {NotHeldError} when the lease is known to have ended @throws {UnsupportedError} over a store without transactions */
  of(lease: Lease): Guard {
    const { backend, addLookup } = this.#init;
    backend.refuseGuard();
    lease.refuseUnlessHeld();
    const { key, fence, terms } = lease;
    return new Guard({
      key,
      fence,
      timeoutMs: terms.guardTimeoutMs,
      databaseId: backend.databaseId,
      onStale: () => this.#findHolder(lease),
      onElsewhere: () => addLookup(backend.findDatabaseId()),
    });
  }

  /** A guard was refused, so the lease has ended. Asks Postgres now, so that the signal fires before the next renewal. */
  async #findHolder(lease: Lease): Promise<HolderInfo | null> {
    const { backend, activity, renewals, toInfo } = this.#init;
    renewals.prove(lease);
    try {
      const ask = () => withTimeoutOf(backend.clock, backend.holderOf(lease.key), HOLDER_MS);
      const holder = await activity.during(ask, { isUse: false });
      // After a forced release the row may still name our own grant.
      return holder?.fence === lease.fence ? null : toInfo(lease.key, holder);
    } catch {
      return null;
    }
  }
}
