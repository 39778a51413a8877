import type { Lock } from "../api/lock.js";
import type { JsonValue } from "../api/metadata.js";
import { Claim, type ClaimContext } from "../claim/claim.js";
import type { ResolvedAcquireOptions } from "../config/resolve-options.js";
import { ClosedError, LeaseLostError, type LossReason, NotHeldError, UnavailableError } from "../errors/errors.js";
import type { Holdings } from "../hold/holdings.js";
import type { Observer } from "../observe/observer.js";
import type { Background } from "../runtime/background.js";
import { after, type Instant } from "../runtime/clock.js";
import { quote } from "../runtime/describe.js";
import { withTimeoutOf } from "../runtime/timeout.js";
import type { Backend } from "../store/backend.js";
import type { AdoptAnswer, AdoptedAnswer, GrantId } from "../store/messages.js";
import { explained, retry } from "../store/retry.js";

const FIRST_RETRY_MS = 10;
const MAX_RETRY_MS = 200;

export interface AdoptionsInit {
  readonly claims: ClaimContext;
  readonly holdings: Holdings;
  readonly background: Background;
  readonly observer: Observer;
  /** Whether `close` was called. */
  readonly isClosing: () => boolean;
}

/** An answer that settles the question. */
type Settled = Exclude<AdoptAnswer, { outcome: "busy" | "late" | "unproven" }>;

/**
 * Goes on with grants that were made elsewhere. Each gets a claim of its own, whose token takes the place of the one that was handed over
 * (decision 25): so a lock is adopted once, and what is still under way under the old token is refused.
 */
export class Adoptions {
  readonly #init: AdoptionsInit;

  constructor(init: AdoptionsInit) {
    this.#init = init;
  }

  /**
   * @throws LeaseLostError when it has ended; NotHeldError when its holder has not let go of it
   * @throws UnavailableError when there was no answer within `requestTimeoutMs`: should it have been adopted, it is released
   */
  async adopt(grant: GrantId, terms: ResolvedAcquireOptions): Promise<Lock> {
    const { claims, holdings, background, observer } = this.#init;
    const claim = new Claim(claims, grant.key, terms);
    claim.wasHeld = true; // by whoever handed it over
    // So that `close` waits for the last word.
    background.beginCall();
    let isAdopted = false;
    try {
      const answer = await this.#ask(claim, grant);
      // From here on in one turn of the event loop: a locker that closes later finds the lock among those that it holds.
      if (answer.outcome !== "adopted") {
        throw answer.outcome === "lost" ? lost(grant, answer.reason) : attached(grant, answer.owner);
      }
      isAdopted = true;
      this.#refuseIfClosing();
      claim.terms = termsOf(terms, answer);
      const lease = holdings.hold(claim, { ...answer, fence: grant.fence, takeover: null });
      observer.adopted?.(lease, lease.heldMs);
      return lease.lock;
    } catch (error) {
      if (isAdopted || claim.isUnfinished) {
        background.add(claim.lastWord());
      }
      throw await explained(error, claims.backend);
    } finally {
      background.endCall();
    }
  }

  #ask(claim: Claim, grant: GrantId): Promise<Settled> {
    const { backend, requestTimeoutMs, closed } = this.#init.claims;
    const { clock } = backend;
    const deadline = after(clock.now(), requestTimeoutMs);
    let isUnproven = false;
    return retry({
      clock,
      attempt: async (leftMs) => {
        await backend.open(leftMs);
        this.#refuseIfClosing();
        const answer = await withTimeoutOf(
          clock,
          attempt(backend, claim, grant, deadline),
          Math.max(1, clock.msUntil(deadline)),
        );
        if (answer.outcome === "busy") {
          throw rowLocked(grant.key, answer.blockingPid); // told also if the next request has no answer
        }
        isUnproven = answer.outcome === "unproven";
        return isSettled(answer) ? answer : undefined;
      },
      deadline,
      firstMs: FIRST_RETRY_MS,
      maxMs: MAX_RETRY_MS,
      refuse: () => this.#refuseIfClosing(),
      interrupt: () => closed,
      giveUp: ({ outcome }) => outcome === "not-sent" && !backend.wasReady,
      exhausted: (failure) => failure ?? notAdopted(grant.key, isUnproven ? unproven : late),
    });
  }

  #refuseIfClosing(): void {
    if (this.#init.isClosing()) {
      throw new ClosedError({ message: "The locker was closed while this call waited." });
    }
  }
}

async function attempt(backend: Backend, claim: Claim, grant: GrantId, deadline: Instant): Promise<AdoptAnswer> {
  claim.attemptSent();
  try {
    // `open` has had an answer from the server, so the server's time is known.
    const notAfterMs = backend.serverTimeAt(deadline) ?? 0;
    const answer = await backend.adopt({ ...grant, newToken: claim.token, terms: claim.terms, notAfterMs });
    claim.attemptEnded();
    return answer;
  } catch (error) {
    claim.attemptFailed(error, deadline);
    throw error;
  }
}

function isSettled(answer: AdoptAnswer): answer is Settled {
  return answer.outcome !== "busy" && answer.outcome !== "late" && answer.outcome !== "unproven";
}

/** What the lock was acquired with elsewhere takes the place of what this locker would have given it. */
function termsOf(
  terms: ResolvedAcquireOptions,
  { metadata, share, maxHoldUntilMs, acquiredAtMs }: AdoptedAnswer,
): ResolvedAcquireOptions {
  return {
    ...terms,
    share,
    metadata: { json: metadata, value: metadata === null ? null : (JSON.parse(metadata) as JsonValue) },
    maxHoldMs: maxHoldUntilMs === null ? Number.POSITIVE_INFINITY : maxHoldUntilMs - acquiredAtMs,
  };
}

const lossText: Readonly<Record<LossReason, string>> = {
  expired: "its TTL ran out first. Acquire it with a larger ttlMs, or adopt it sooner",
  taken: "somebody else has adopted it, or it was released, or others have had the key since",
  "max-hold": "it was held for its maxHoldMs",
  forced: "it was taken away with forceRelease",
  closed: "its locker was closed",
};

function lost({ key, fence }: GrantId, reason: LossReason): LeaseLostError {
  const message = `The lock on ${quote(key)} (fence ${fence}) cannot be adopted: ${lossText[reason]}. Acquire it again.`;
  return new LeaseLostError({ key, fence, reason, message });
}

function attached({ key, fence }: GrantId, owner: string | null): NotHeldError {
  const who = owner === null ? "an unnamed owner" : quote(owner);
  const message = `The lock on ${quote(key)} (fence ${fence}) cannot be adopted: ${who} holds it, in a session that may be alive. Its holder hands it over first: lock.detach(), or select leasehold.detach_lock(...).`;
  return new NotHeldError({ key, fence, message });
}

const unproven = "the connection that shows that this process lives is being made again. Try again with the same data.";
const late =
  "each request came after its time was up. Find out why they take so long, or raise requestTimeoutMs, and try again with the same data.";

function rowLocked(key: string, blockingPid: number | null): UnavailableError {
  const who = blockingPid === null ? "another transaction" : `the open transaction of server process ${blockingPid}`;
  const why = `${who} has its row locked, such as one that guards the key. Its holder ends it before it hands the lock over.`;
  return notAdopted(key, why);
}

function notAdopted(key: string, why: string): UnavailableError {
  return new UnavailableError({
    outcome: "not-sent",
    message: `The lock on ${quote(key)} could not be adopted: ${why}`,
  });
}
