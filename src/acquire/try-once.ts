import type { LocalQueues } from "./local-queues.js";
import type { FirstResult, Looks } from "./looks.js";
import { type Granted, type NotGranted, refusal, settled } from "./results.js";

/** A try asks again while the row is locked (rule 6): 3 times within some 20 ms. */
export const TRY_BUSY_MS: readonly number[] = [5, 10];
/** How long a try waits at most for waiters of this process that are leaving the queue. */
export const LEAVERS_MS = 1_000;

/**
 * Asks for the key without queueing for it.
 * @throws UnavailableError when Postgres does not answer until the deadline; at once when asking again cannot help
 */
export async function tryOnce(looks: Looks, queues: LocalQueues, first: FirstResult): Promise<Granted | NotGranted> {
  const { claim, clock } = looks;
  const { deadline } = first;
  let hasWaited = false;
  let answer = settled(first.answer) ?? (await looks.look(first));
  for (let tries = 0; ; tries += 1) {
    if (answer.outcome === "granted") {
      return answer;
    }
    const leftMs = clock.msUntil(deadline);
    const pauseMs = TRY_BUSY_MS[tries];
    // The key is free but has a queue. If that is of waiters of this process that have given up, wait until they have left.
    const isFree = answer.outcome === "held" && answer.holder === null && !hasWaited;
    if (isFree && (await queues.leavers(claim.key, Math.min(LEAVERS_MS, leftMs / 2)))) {
      hasWaited = true;
      looks.refuseIfEnded();
    } else if (answer.outcome !== "busy" || pauseMs === undefined || leftMs <= pauseMs) {
      return refusal(answer.outcome === "busy" ? "busy" : "held", answer);
    } else {
      await looks.pause(pauseMs);
    }
    answer = await looks.look({ deadline });
  }
}
