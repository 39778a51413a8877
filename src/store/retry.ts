import { UnavailableError } from "../errors/errors.js";
import { type Instant, msUntil, sleep } from "../runtime/clock.js";
import { RequestTimeout } from "../runtime/timeout.js";

export interface RetryOptions<Value> {
  /**
   * Resolves to undefined when it was answered, but has to be asked again. It settles within `leftMs`, with RequestTimeout at the latest.
   */
  readonly attempt: (leftMs: number) => Promise<Value | undefined>;
  readonly deadline: Instant;
  /** The first pause in milliseconds. Each one is twice as long as the one before, up to `maxMs`. */
  readonly firstMs: number;
  readonly maxMs: number;
  /** Throws when there is no point in going on. Called before each attempt. */
  readonly refuse?: () => void;
  /** Ends a pause early; `refuse` says why. */
  readonly interrupt?: () => AbortSignal;
  /** The failure of an attempt that was made before. */
  readonly failure?: UnavailableError | null;
  /** What to throw when the last attempt was answered, but the time is up. `failure` is that of the attempts before it. */
  readonly exhausted: (failure: UnavailableError | null) => Error;
}

/**
 * Asks Postgres again, at a growing pace, for as long as that may help: the one retry loop behind acquire, renew, release and last words.
 * @throws what an attempt rejects with, at once, unless asking again may help
 * @throws UnavailableError at the deadline, or when the server refuses us. Its outcome is `unknown` if that of any attempt is.
 */
export async function retry<Value>(options: RetryOptions<Value>): Promise<Value> {
  const { attempt, deadline, firstMs, maxMs, refuse, interrupt, exhausted } = options;
  let failure = options.failure ?? null;
  for (let pauseMs = firstMs; ; pauseMs = Math.min(pauseMs * 2, maxMs)) {
    refuse?.();
    let isAnswered = false;
    try {
      const value = await attempt(Math.max(1, msUntil(deadline)));
      if (value !== undefined) {
        return value;
      }
      isAnswered = true;
    } catch (error) {
      failure = ofAttempts(failure, asUnavailable(error));
      if (isHopeless(failure)) {
        throw failure;
      }
    }
    if (msUntil(deadline) <= pauseMs) {
      throw isAnswered || failure === null ? exhausted(failure) : failure;
    }
    await sleep(pauseMs, interrupt && { signal: interrupt() });
  }
}

/** An attempt that had no answer in time may still take effect. @throws anything that is no reason to ask again */
function asUnavailable(error: unknown): UnavailableError {
  if (error instanceof RequestTimeout) {
    return new UnavailableError({ outcome: "unknown", cause: error });
  }
  if (error instanceof UnavailableError) {
    return error;
  }
  throw error;
}

/** A wrong password does not become right by waiting, nor does a certificate that is not trusted. */
function isHopeless({ cause }: UnavailableError): boolean {
  return (
    cause instanceof Error &&
    "code" in cause &&
    typeof cause.code === "string" &&
    /^28|^3D000$|^NOT_TRUSTED$/.test(cause.code)
  );
}

/**
 * The error that stands for several attempts. Its outcome is `unknown` if that of any is: what had no answer may have taken effect,
 * whatever became of the next attempt. An attempt that was cut short by the deadline does not hide the server's reason for refusing
 * the ones before it.
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
  return new UnavailableError({ outcome: "unknown", message, cause: telling.cause });
}
