import type { Claim } from "../claim/claim.js";
import type { ResolvedAcquireOptions } from "../config/resolve-options.js";
import { UnavailableError } from "../errors/errors.js";
import type { Instant } from "../runtime/clock.js";
import { quote } from "../runtime/describe.js";
import { withTimeoutOf } from "../runtime/timeout.js";
import type { Backend } from "../store/backend.js";
import type { AcquireAllAnswer, AcquireAllRequest } from "../store/messages.js";
import { retry } from "../store/retry.js";

const FIRST_RETRY_MS = 10;
const MAX_RETRY_MS = 500;

/** The set that asks. */
export interface AskingSet {
  /** As the caller gave them. */
  readonly terms: ResolvedAcquireOptions;
  /** What is left of `waitMs`. */
  readonly leftMs: number;
  /** Ends what waits: a part was lost, or the set has ended. */
  readonly interrupted: AbortSignal;
  refuseIfEnded(): void;
}

/** One request for several keys. */
export interface SetRequest {
  readonly set: AskingSet;
  readonly backend: Backend;
  /** One for each key. */
  readonly claims: readonly Claim[];
  /** Whether the longest run from the first key on will do. */
  readonly takesPrefix: boolean;
  readonly deadline: Instant;
}

export type AnsweredRequest = Extract<AcquireAllAnswer, { outcome: "answered" }>;

/** Asks again until it is answered. @throws UnavailableError at the deadline, or at once when asking again cannot help; what `refuseIfEnded` throws */
export async function ask(request: SetRequest): Promise<AnsweredRequest> {
  const { set, backend, claims, deadline } = request;
  const { clock } = backend;
  return await retry({
    clock,
    attempt: async (leftMs) => {
      await backend.open(leftMs);
      set.refuseIfEnded();
      const answer = await withTimeoutOf(clock, send(request), Math.max(1, clock.msUntil(deadline)));
      return answer.outcome === "answered" ? answer : undefined;
    },
    deadline,
    firstMs: FIRST_RETRY_MS,
    maxMs: MAX_RETRY_MS,
    refuse: () => set.refuseIfEnded(),
    interrupt: () => set.interrupted,
    giveUp: ({ outcome }) => outcome === "not-sent" && (set.terms.waitMs === 0 ? !backend.wasReady : set.leftMs <= 0),
    exhausted: (failure) => failure ?? unsettled(claims),
  });
}

/** One attempt. Each claim takes in what the answer says of its key. */
async function send({ backend, claims, takesPrefix, deadline }: SetRequest): Promise<AcquireAllAnswer> {
  for (const claim of claims) {
    claim.attemptSent();
  }
  try {
    const request: AcquireAllRequest = {
      items: claims,
      terms: (claims[0] as Claim).terms,
      // `open` has had an answer from the server, so the server's time is known.
      notAfterMs: backend.serverTimeAt(deadline) ?? 0,
      takesPrefix,
    };
    const answer = await (backend.acquireAll?.(request) as Promise<AcquireAllAnswer>);
    claims.forEach((claim, index) => {
      const grant = answer.outcome === "answered" ? answer.grants[index] : undefined;
      const missing = answer.outcome === "answered" && answer.missing?.index === index ? answer.missing : null;
      if (grant !== undefined) {
        claim.take({ outcome: "granted", ...grant });
      } else if (missing !== null) {
        claim.take(missing.answer);
      } else {
        claim.attemptEnded();
      }
    });
    return answer;
  } catch (error) {
    for (const claim of claims) {
      claim.attemptFailed(error, deadline);
    }
    throw error;
  }
}

function unsettled(claims: readonly Claim[]): UnavailableError {
  const first = quote(claims[0]?.key ?? "");
  return new UnavailableError({
    outcome: "unknown",
    message: `The locks on ${claims.length} keys, the first of which is ${first}, were not granted in time: each request came after its time was up, or while the connection that shows that this process lives was being made again. Try again.`,
  });
}
