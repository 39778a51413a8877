import { UnavailableError } from "./errors.js";
import { RequestTimeout } from "./timeout.js";

/**
 * What to tell of several attempts: the outcome is unknown if that of any is, for what had no answer may have taken effect, whatever
 * became of the next one; and an attempt that was cut short by the end of the time does not hide the server's reason for refusing
 * those before it.
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
