import type { HolderInfo } from "../errors/errors.js";
import type { JsonValue } from "./metadata.js";

/**
 * What `check` says about a key that is not free. `held`: granted. `revoked`: an operator took it away with `forceRelease`, and
 * its holder has not let go yet. `cooling`: released, but kept from everybody until its minimum hold has ended. `blocked`: kept by an
 * open transaction alone: one that guarded it before it was released, or one in which it was granted and that is not committed.
 * `orphaned`: its holder's process is confirmed dead. `expired`: nobody renewed it. The last two can be granted to the next caller,
 * unless an open transaction guards them (`blockingPid`, `blockingTransaction`).
 */
export interface LeaseInfo {
  readonly key: string;
  readonly state: "held" | "revoked" | "cooling" | "blocked" | "orphaned" | "expired";
  /** The holder as it named itself; while cooling or blocked, the last one. */
  readonly owner: string | null;
  /** Who holds it, or held it until it expired or died; empty while cooling or blocked. */
  readonly holders: readonly HolderInfo[];
  /** Whether it is this very process. */
  readonly isThisProcess: boolean;
  /** Null while the key's first grant is in an open transaction. */
  readonly fence: bigint | null;
  readonly acquiredAt: Date | null;
  /** When the key is free at the latest, by the server's clock; null while an open transaction is all that keeps it. */
  readonly expiresAt: Date | null;
  readonly remainingMs: number;
  /** Whether the holder's session is connected. False while `held`: it died just now, or is reconnecting. Null without presence. */
  readonly isSessionAlive: boolean | null;
  readonly metadata: JsonValue;
  readonly waiters: number;
  /** The backend whose open transaction keeps the key, whatever becomes of the lease; null when there is none, or it is not known. */
  readonly blockingPid: number | null;
  /** The same of a prepared transaction, which has no backend: its name. It ends with COMMIT or ROLLBACK PREPARED alone. */
  readonly blockingTransaction: string | null;
  /** JSON-safe: fences are decimal strings. */
  toJSON(): Readonly<Record<string, unknown>>;
}
