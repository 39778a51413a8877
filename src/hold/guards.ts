import type { HolderInfo } from "../errors/errors.js";
import { Guard, type GuardedGrant, type Stale } from "../guard/guard.js";
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

  /**
   * Of all these leases, in the order of their keys.
   * @throws {LeaseLostError} @throws {NotHeldError} when one is known to have ended @throws {UnsupportedError} over a store without transactions
   */
  of(leases: readonly [Lease, ...Lease[]]): Guard {
    const { backend, addLookup } = this.#init;
    backend.refuseGuard();
    for (const lease of leases) {
      lease.refuseUnlessHeld();
    }
    const [first, ...others] = leases.map(({ key, fence, terms }) => ({ key, fence, timeoutMs: terms.guardTimeoutMs }));
    return new Guard({
      grants: [first as GuardedGrant, ...others], // there is at least one lease
      databaseId: backend.databaseId,
      onStale: () => this.#findStale(leases),
      onElsewhere: () => addLookup(backend.findDatabaseId()),
    });
  }

  /** Which one has ended. After a forced release the row may still name our own grant. */
  async #findStale(leases: readonly [Lease, ...Lease[]]): Promise<Stale> {
    const holders = await Promise.all(leases.map((lease) => this.#findHolder(lease)));
    const isOthers = (lease: Lease, index: number): boolean =>
      holders[index] !== undefined && holders[index]?.fence !== lease.fence;
    const taken = leases.findIndex(isOthers);
    const index = Math.max(0, taken === -1 ? leases.findIndex(({ phase }) => phase !== "held") : taken);
    const { key, fence } = leases[index] as Lease;
    const holder = holders[index] ?? null;
    return { key, fence, holder: holder?.fence === fence ? null : this.#init.toInfo(key, holder) };
  }

  /** A guard was refused, so a lease has ended. Asks Postgres now, so that its signal fires before the next renewal. Undefined: not known. */
  async #findHolder(lease: Lease): Promise<Holder | null | undefined> {
    const { backend, activity, renewals } = this.#init;
    renewals.prove(lease);
    try {
      const ask = () => withTimeoutOf(backend.clock, backend.holderOf(lease.key), HOLDER_MS);
      return await activity.during(ask, { isUse: false });
    } catch {
      return undefined;
    }
  }
}
