import type { Lane } from "../connection/lane.js";
import { sqlState } from "../connection/server-errors.js";

export const CHECK_FENCE = "select leasehold.check_fence($1::pg_catalog.text, $2::bigint)";

/** Raises the mark of a resource, unless it is higher already, or no grant can have had that fence. */
export async function checkFence(lane: Lane, resource: string, fence: bigint): Promise<"passed" | "stale" | "unknown"> {
  try {
    await lane.query(CHECK_FENCE, [resource, String(fence)]);
    return "passed";
  } catch (error) {
    switch (sqlState(error)) {
      case "LH006":
        return "stale";
      // Resource and fence were checked before they were sent.
      case "LH003":
        return "unknown";
    }
    throw error;
  }
}
