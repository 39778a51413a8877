import type { GrantRequest } from "../api/store.js";
import type { LossReason } from "../errors/errors.js";

/** A process, as the leases know it. */
export interface MemoryProcess {
  /** When it died; null while it lives. */
  readonly diedAtMs: number | null;
  /** From when on its locks are anybody's, because it died; `Infinity` while it lives. */
  readonly orphanedAtMs: number;
  /** It may be next for this key. */
  wake(key: string): void;
  /** A grant of its own has ended beneath it. */
  lost(grant: GrantRequest, reason: LossReason): void;
}

/** Of leases that no death frees early. */
export const nobody: MemoryProcess = {
  diedAtMs: null,
  orphanedAtMs: Number.POSITIVE_INFINITY,
  wake: () => undefined,
  lost: () => undefined,
};
