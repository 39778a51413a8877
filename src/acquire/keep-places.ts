import { UnavailableError } from "../errors/errors.js";
import { after, now } from "../runtime/clock.js";
import { RequestTimeout, withTimeout } from "../runtime/timeout.js";
import type { Store } from "../store/store.js";
import type { Waiter } from "./local-queue.js";

/**
 * Keeps the places of those that wait behind others of this process. Resolves to those that must look by themselves: their place is
 * gone, or nothing can be asked now, and then a look says why.
 * @throws UnavailableError when Postgres did not answer for `requestTimeoutMs`, as a look would
 */
export async function keepPlaces(
  store: Store,
  waits: readonly Waiter[],
  requestTimeoutMs: number,
): Promise<readonly Waiter[]> {
  const deadline = after(now(), requestTimeoutMs);
  const notAfterMs = store.serverTimeAt(deadline);
  if (notAfterMs === null || waits.length === 0) {
    return waits;
  }
  try {
    const gone = await withTimeout(store.stay({ places: waits, notAfterMs }), requestTimeoutMs);
    return gone === null ? waits : (gone as readonly Waiter[]);
  } catch (error) {
    if (error instanceof RequestTimeout) {
      throw new UnavailableError({ outcome: "unknown", cause: error });
    }
    return waits;
  }
}
