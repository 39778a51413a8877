import type { HolderInfo } from "../errors/errors.js";
import type { JsonValue } from "./metadata.js";
import type { LockMode } from "./share-options.js";

/**
 * What `check` says about a key that is not free. `held`: granted. `revoked`: an operator took it away with `forceRelease`, and
 * its holder has not let go yet. `cooling`: released, but kept from everybody until its minimum hold has ended. `blocked`: kept by an
 * open transaction alone: one that guarded it before it was released, or one in which it was granted and that is not committed.
 * `orphaned`: its holder's process is confirmed dead. `expired`: nobody renewed it. The last two can be granted to the next caller,
 * unless an open transaction guards them (`blockingPid`, `blockingTransaction`).
 */
export interface LeaseInfo {
  /** The full key, prefix included. */
  readonly key: string;
  /** What keeps the key, see above. */
  readonly state: "held" | "revoked" | "cooling" | "blocked" | "orphaned" | "expired";
  /** How it is held, or was last. Null when that is not known: while its grant is in an open transaction. */
  readonly mode: LockMode | null;
  /**
   * The holder as it named itself; while cooling or blocked, the last one. Of several who share the key, the oldest: `fence`, `acquiredAt`,
   * `isSessionAlive` and `metadata` are of the same one.
   */
  readonly owner: string | null;
  /** All who hold it, the oldest first; when nobody does any more, those who held it until they expired or died. Empty while cooling or blocked. */
  readonly holders: readonly HolderInfo[];
  /** Whether this very process is among them. */
  readonly isThisProcess: boolean;
  /** The fencing token of that grant. Null while the key's first one is in an open transaction. */
  readonly fence: bigint | null;
  /** When it was granted, by the server's clock; null when there is no grant. */
  readonly acquiredAt: Date | null;
  /** When the key is free at the latest, by the server's clock; null while an open transaction is all that keeps it. */
  readonly expiresAt: Date | null;
  /** Milliseconds until `expiresAt`; 0 when that is past. */
  readonly remainingMs: number;
  /** Whether the holder's session is connected. False while `held`: it died just now, or is reconnecting. Null without presence. */
  readonly isSessionAlive: boolean | null;
  /** What the holder stored with the lease; null without it. */
  readonly metadata: JsonValue;
  /** How many calls wait in the queue of the key. */
  readonly waiters: number;
  /** The backend whose open transaction keeps the key, whatever becomes of the lease; null when there is none, or it is not known. */
  readonly blockingPid: number | null;
  /** The same of a prepared transaction, which has no backend: its name. It ends with COMMIT or ROLLBACK PREPARED alone. */
  readonly blockingTransaction: string | null;
  /** The name of the instance that it is on; null without the option `instances`. */
  readonly instance: string | null;
  /** JSON-safe: fences are decimal strings. */
  toJSON(): Readonly<Record<string, unknown>>;
}
