import { ofAttempts } from "./attempt-errors.js";
import { after, msUntil, now, sleep } from "./clock.js";
import { UnavailableError } from "./errors.js";
import type { Lease } from "./lease.js";
import { RequestTimeout, withTimeout } from "./timeout.js";

const FIRST_RETRY_MS = 5;
const MAX_RETRY_MS = 200;

/** Hands over work that goes on after the release is settled. */
type InBackground = (work: Promise<void>) => void;

/**
 * One release that somebody awaits, of a lease that has started to be released: asked until it is answered or `timeoutMs` is
 * over, then in the background.
 * @throws LeaseLostError when it had been lost before @throws UnavailableError
 */
export async function releaseNow(lease: Lease, timeoutMs: number, inBackground: InBackground): Promise<void> {
  const { acquisition } = lease;
  const deadline = after(now(), timeoutMs);
  let isRepeated = false;
  let failure: UnavailableError | null = null;
  for (let retryMs = FIRST_RETRY_MS; ; retryMs = Math.min(retryMs * 2, MAX_RETRY_MS)) {
    try {
      const answer = await withTimeout(acquisition.release(lease.fence, inBackground), Math.max(1, msUntil(deadline)));
      if (answer.outcome !== "busy") {
        // Nothing there although nobody said so before: an attempt of ours that lost its answer did it.
        const isUnexplained = answer.outcome === "gone" && !isRepeated && !acquisition.hasLastWord;
        const isLost = answer.outcome === "expired" || isUnexplained;
        lease.endRelease(isLost ? (answer.reason ?? "expired") : null);
        break;
      }
      if (msUntil(deadline) <= retryMs) {
        throw busy(lease);
      }
    } catch (error) {
      const isLate = error instanceof RequestTimeout;
      const found = isLate ? new UnavailableError({ outcome: "unknown", cause: error }) : error;
      if (found instanceof UnavailableError) {
        failure = ofAttempts(failure, found);
      }
      if (!(found instanceof UnavailableError) || msUntil(deadline) <= retryMs) {
        lease.endRelease(null);
        inBackground(acquisition.lastWord());
        throw found instanceof UnavailableError ? failure : found;
      }
      isRepeated ||= found.outcome === "unknown";
    }
    await sleep(retryMs, { keepsAlive: true });
  }
  if (lease.loss !== null) {
    throw lease.loss;
  }
}

function busy({ key }: Lease): UnavailableError {
  return new UnavailableError({
    outcome: "not-sent",
    message: `The row of ${JSON.stringify(key)} is locked by another transaction: it could not be released. The release is tried again in the background until the lease expires.`,
  });
}
