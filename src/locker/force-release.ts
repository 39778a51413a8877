import type { ForceReleaseResult } from "../api/force-release.js";
import { type HolderInfo, NotAcquiredError } from "../errors/errors.js";
import { quote } from "../runtime/describe.js";
import type { ForceReleaseAnswer, Holder } from "../store/messages.js";

/** Null when there was nothing to take, and no transaction keeps the key either. @throws NotAcquiredError when its row is locked */
export function toForceReleaseResult(
  key: string,
  answer: ForceReleaseAnswer,
  toInfo: (holder: Holder) => HolderInfo | null,
): ForceReleaseResult | null {
  const { outcome, freeAtMs, holders, blockingPid, blockingTransaction } = answer;
  switch (outcome) {
    case "gone":
      if (!answer.isBlocked) return null;
      return { outcome: "released", freeAt: null, holders: [], blockingPid, blockingTransaction };
    case "busy":
      throw rowLocked(key, answer);
    default:
      return {
        outcome,
        freeAt: freeAtMs === null ? null : new Date(freeAtMs),
        holders: holders.flatMap((holder) => toInfo(holder) ?? []),
        blockingPid,
        blockingTransaction,
      };
  }
}

function rowLocked(key: string, { blockingPid, blockingTransaction }: ForceReleaseAnswer): NotAcquiredError {
  const [who, remedy] =
    blockingTransaction === null
      ? [`backend ${blockingPid ?? "(unknown)"}`, "End that transaction"]
      : [`the prepared transaction ${quote(blockingTransaction)}`, "Commit it, or roll it back"];
  return new NotAcquiredError({
    key,
    blockingPid,
    message: `The lease of ${quote(key)} cannot be released by force now: its row is locked by ${who}. ${remedy}, then try again.`,
  });
}
