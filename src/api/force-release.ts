import type { HolderInfo } from "../errors/errors.js";

/** What `forceRelease` did. */
export interface ForceReleaseResult {
  /**
   * `revoked`: it can no longer be renewed; each of its holders is told at its next renewal, and what it held is free when it lets go, or at
   * `freeAt`. `released`: it is nobody's from now on.
   */
  readonly outcome: "revoked" | "released";
  /**
   * When what was taken is free at the latest, by the server's clock; null when it is free now. An open transaction may keep it for longer, see
   * `blockingPid`.
   */
  readonly freeAt: Date | null;
  /** Whom it was taken from, the oldest first. Empty when nobody held it: a minimum hold was ended, or an open transaction alone keeps the key. */
  readonly holders: readonly HolderInfo[];
  /** The backend whose open transaction guards the key, and keeps it until it ends; null when there is none, or it is not known. */
  readonly blockingPid: number | null;
  /** The same of a prepared transaction, which has no backend: its name. */
  readonly blockingTransaction: string | null;
}
