import { UnavailableError } from "../errors/errors.js";
import type { Instant } from "../runtime/clock.js";
import { quote } from "../runtime/describe.js";
import { withTimeoutOf } from "../runtime/timeout.js";
import type { Backend } from "../store/backend.js";
import type { RenewAnswer } from "../store/messages.js";
import { explained, retry } from "../store/retry.js";
import type { Lease } from "./lease.js";
import { type Renewals, ROW_LOCKED } from "./renewals.js";

const FIRST_RETRY_MS = 10;
const MAX_RETRY_MS = 200;

export interface Detaching {
  readonly backend: Backend;
  readonly renewals: Renewals;
  readonly lease: Lease;
  readonly timeoutMs: number;
  /** Called in the very turn in which the lease was still held. */
  readonly onDetached: () => void;
}

/**
 * Takes a lease off the session of this process and renews it for a full TTL, so that somebody else has that long to adopt it. Until the
 * answer is here the lease is held as before, and so it is when there is none: whatever that request did, or does later, only renews the
 * lease and makes it last for its TTL after a crash.
 * @throws LeaseLostError, NotHeldError when it has ended meanwhile
 * @throws UnavailableError when there was no answer within `timeoutMs`
 */
export async function detachNow({ backend, renewals, lease, timeoutMs, onDetached }: Detaching): Promise<void> {
  const { clock } = backend;
  const { key, token, fence, claim } = lease;
  let deadline = lease.within(timeoutMs);
  const beforehand = (work: Promise<void>, until: Instant): Promise<void> =>
    withTimeoutOf(clock, work, Math.max(1, clock.msUntil(until))).catch((cause: unknown) => {
      throw notSent(key, "what was asked about it before has not been answered", cause);
    });
  try {
    await beforehand(renewals.pause(lease), deadline);
    if (!claim.isCertain) {
      // An attempt to acquire it had no answer. Carried out once the lock was handed over and released, it would be granted again, and no
      // last word could free that without freeing what was handed over (rule 8). In a given time the server refuses it.
      await beforehand(claim.attemptsEnded(), lease.within(timeoutMs * 1.1));
      deadline = lease.within(timeoutMs);
    }
    await retry({
      clock,
      attempt: async (leftMs) => {
        const answer = await withTimeoutOf(clock, backend.detach({ key, token, fence, ttlMs: lease.ttlMs }), leftMs);
        if (!isDetached(lease, answer)) {
          return undefined;
        }
        onDetached();
        return true;
      },
      deadline,
      firstMs: FIRST_RETRY_MS,
      maxMs: MAX_RETRY_MS,
      refuse: () => lease.refuseUnlessHeld(),
      exhausted: (failure) => failure ?? notSent(key, ROW_LOCKED),
    });
  } catch (error) {
    renewals.resume(lease);
    lease.refuseUnlessHeld(); // says more than that a request had no answer
    throw await explained(error, backend);
  }
}

/** @throws LeaseLostError, NotHeldError */
function isDetached(lease: Lease, answer: RenewAnswer): boolean {
  lease.refuseUnlessHeld();
  if (answer.outcome === "lost") {
    lease.lose(answer.reason);
    throw lease.whyEnded();
  }
  return answer.outcome === "renewed";
}

function notSent(key: string, why: string, cause?: unknown): UnavailableError {
  const message = `The lock on ${quote(key)} could not be detached: ${why}. It is still held.`;
  return new UnavailableError({ outcome: "not-sent", message, cause });
}
