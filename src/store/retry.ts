import { UnavailableError } from "../errors/errors.js";
import type { Clock, Instant } from "../runtime/clock.js";
import { RequestTimeout } from "../runtime/timeout.js";
import type { Backend } from "./backend.js";

export interface RetryOptions<Value> {
  readonly clock: Clock;
  /**
   * Resolves to undefined when it was answered but must be asked again. It settles within `leftMs`: without an answer, with RequestTimeout.
   */
  readonly attempt: (leftMs: number) => Promise<Value | undefined>;
  readonly deadline: Instant;
  /** The first pause in milliseconds. Each one is twice as long as the one before, up to `maxMs`. */
  readonly firstMs: number;
  readonly maxMs: number;
  /** Called before each attempt. Throws when there is no point in going on. */
  readonly refuse?: () => void;
  /** Ends a pause early; `refuse` says why. */
  readonly interrupt?: () => AbortSignal;
  /** Whether to reject with this failure at once. */
  readonly giveUp?: (failure: UnavailableError) => boolean;
  /** The failure of an earlier attempt. */
  readonly failure?: UnavailableError | null;
  /** Makes the error for when the last attempt was answered, but the time is up. `failure`: how the attempts before it failed. */
  readonly exhausted: (failure: UnavailableError | null) => Error;
}

/**
 * Asks Postgres again, with growing pauses, for as long as that may help. The one retry loop of acquire, renew, release and last words.
 * @throws at once what an attempt rejects with, unless asking again may help
 * @throws UnavailableError at the deadline, or at once when the server refuses us. Its outcome is `unknown` if that of any attempt is.
 */
export async function retry<Value>(options: RetryOptions<Value>): Promise<Value> {
  const { clock, attempt, deadline, firstMs, maxMs, refuse, interrupt, exhausted } = options;
  let failure = options.failure ?? null;
  for (let pauseMs = firstMs; ; pauseMs = Math.min(pauseMs * 2, maxMs)) {
    refuse?.();
    let isAnswered = false;
    try {
      const value = await attempt(Math.max(1, clock.msUntil(deadline)));
      if (value !== undefined) {
        return value;
      }
      isAnswered = true;
    } catch (error) {
      failure = ofAttempts(failure, asUnavailable(error));
      if (isHopeless(failure) || options.giveUp?.(failure)) {
        throw failure;
      }
    }
    if (clock.msUntil(deadline) <= pauseMs) {
      throw isAnswered || failure === null ? exhausted(failure) : failure;
    }
    await clock.sleep(pauseMs, interrupt && { signal: interrupt() });
  }
}

/** An attempt without an answer in time may still take effect. @throws every error after which it is useless to ask again */
function asUnavailable(error: unknown): UnavailableError {
  if (error instanceof RequestTimeout) {
    return new UnavailableError({ outcome: "unknown", cause: error });
  }
  if (error instanceof UnavailableError) {
    return error;
  }
  throw error;
}

/** The error of a request that something in the database may have been in the way of. Null: it failed for another reason. */
export function delayed(error: unknown): UnavailableError | null {
  if (error instanceof RequestTimeout) {
    return new UnavailableError({ outcome: "unknown", cause: error });
  }
  if (!(error instanceof UnavailableError)) {
    return null;
  }
  const { outcome, cause } = error;
  const isLockTimeout = cause instanceof Error && "code" in cause && cause.code === "55P03";
  return isLockTimeout || (outcome === "unknown" && cause instanceof RequestTimeout) ? error : null;
}

/** The error that a call rejects with: of a request that was late, what was in its way is asked for. Never rejects. */
export async function explained(error: unknown, backend: Pick<Backend, "explain">): Promise<unknown> {
  const late = delayed(error);
  return late === null ? error : await backend.explain(late);
}

/** Waiting does not help against a wrong password, a missing database, an untrusted certificate, or a given client that was ended. */
export function isHopeless({ cause }: UnavailableError): boolean {
  return (
    cause instanceof Error &&
    "code" in cause &&
    typeof cause.code === "string" &&
    /^28|^3D000$|^CLIENT_ENDED$|^NOT_TRUSTED$/.test(cause.code)
  );
}

/** A given client that was ended never works again. */
export function isEnded({ cause }: UnavailableError): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "CLIENT_ENDED";
}

/**
 * One error for several attempts. Its outcome is `unknown` if that of any attempt is: an attempt without an answer may have taken
 * effect, whatever became of the next one. If the deadline cut an attempt short, the server's reason for refusing the earlier ones is kept.
 */
export function ofAttempts(earlier: UnavailableError | null, latest: UnavailableError): UnavailableError {
  if (earlier === null) {
    return latest;
  }
  const isUnknown = earlier.outcome === "unknown" || latest.outcome === "unknown";
  const telling = latest.cause instanceof RequestTimeout ? earlier : latest;
  if ((telling.outcome === "unknown") === isUnknown) {
    return telling;
  }
  const message = `An attempt had no answer, and may have taken effect. Of another: ${telling.message}`;
  return new UnavailableError({ outcome: "unknown", address: telling.address, message, cause: telling.cause });
}
