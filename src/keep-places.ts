import { after, now } from "./clock.js";
import { UnavailableError } from "./errors.js";
import type { Wait } from "./line.js";
import type { Store } from "./store.js";
import { RequestTimeout, withTimeout } from "./timeout.js";

/**
 * Keeps the places of those who wait behind others of this process. Resolves to those who must look by themselves: their place is
 * gone, or nothing can be asked now, and then a look says why.
 * @throws UnavailableError when Postgres did not answer for `requestTimeoutMs`, as a look would
 */
export async function keepPlaces(
  store: Store,
  waits: readonly Wait[],
  requestTimeoutMs: number,
): Promise<readonly Wait[]> {
  const deadline = after(now(), requestTimeoutMs);
  const notAfterMs = store.serverTimeAt(deadline);
  if (notAfterMs === null || waits.length === 0) {
    return waits;
  }
  try {
    const gone = await withTimeout(store.stay({ places: waits, notAfterMs }), requestTimeoutMs);
    return gone === null ? waits : (gone as readonly Wait[]);
  } catch (error) {
    if (error instanceof RequestTimeout) {
      throw new UnavailableError({ outcome: "unknown", cause: error });
    }
    return waits;
  }
}
