import type { Holder } from "../store.js";
import { toKeyState } from "./answers.js";
import type { Lane } from "./lane.js";
import { sqlState } from "./server-errors.js";
import { CHECK_FENCE, INSPECT } from "./statements.js";

/** Raises the mark of a resource, unless it is higher already. */
export async function checkFence(lane: Lane, resource: string, fence: bigint): Promise<"passed" | "stale"> {
  try {
    await lane.query(CHECK_FENCE, [resource, String(fence)]);
    return "passed";
  } catch (error) {
    if (sqlState(error) === "LH006") {
      return "stale";
    }
    throw error;
  }
}

/** Who holds the key now. Null when it is free, or can be granted to the next who asks. */
export async function holderOf(lane: Lane, key: string): Promise<Holder | null> {
  const { state, owner, fence, sessionId, expiresAtMs } = toKeyState(await lane.read(INSPECT, [key]));
  return state === "held" && fence !== null && expiresAtMs !== null ? { owner, fence, sessionId, expiresAtMs } : null;
}
