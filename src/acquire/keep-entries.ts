import { UnavailableError } from "../errors/errors.js";
import { after } from "../runtime/clock.js";
import { RequestTimeout, withTimeoutOf } from "../runtime/timeout.js";
import type { Backend } from "../store/backend.js";
import type { Waiter } from "./local-queue.js";

/**
 * Keeps the queue entries of the waiters that are behind another waiter of this process. Resolves to those that must look themselves:
 * their entry is gone, or Postgres cannot be asked now. In that case their own look finds out why.
 * @throws UnavailableError when Postgres did not answer for `requestTimeoutMs`, as a look would
 */
export async function keepEntriesOf(
  backend: Backend,
  waits: readonly Waiter[],
  requestTimeoutMs: number,
): Promise<readonly Waiter[]> {
  const deadline = after(backend.clock.now(), requestTimeoutMs);
  const notAfterMs = backend.serverTimeAt(deadline);
  if (notAfterMs === null || waits.length === 0) {
    return waits;
  }
  try {
    const gone = await withTimeoutOf(
      backend.clock,
      backend.keepEntries({ entries: waits, notAfterMs }),
      requestTimeoutMs,
    );
    return gone === null ? waits : (gone as readonly Waiter[]);
  } catch (error) {
    if (error instanceof RequestTimeout) {
      throw new UnavailableError({ outcome: "unknown", cause: error });
    }
    return waits;
  }
}
