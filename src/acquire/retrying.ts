import type { RetryStrategy } from "../api/retry.js";
import { InvalidOptionError, type UnavailableError } from "../errors/errors.js";
import type { LocalQueues } from "./local-queues.js";
import type { FirstResult, Looks } from "./looks.js";
import type { Granted, NotGranted } from "./results.js";
import { tryOnce } from "./try-once.js";

/**
 * Tries again after the delays of a strategy, until the key is granted, `waitMs` is over or the strategy gives up. During a pause nothing of it is
 * in the database. A try that Postgres has not answered counts like one that was refused.
 * @throws UnavailableError when Postgres has not answered the last try; at once when asking again cannot help
 * @throws what the strategy throws; InvalidOptionError for a delay that is none
 */
export async function retryUntilGranted(
  looks: Looks,
  queues: LocalQueues,
  strategy: RetryStrategy,
  first: FirstResult,
): Promise<Granted | NotGranted> {
  let failure: UnavailableError | null = null;
  for (let tries = 1; ; tries += 1) {
    let refused: NotGranted | null = null;
    try {
      const isBegun = tries === 1 && (first.answer !== null || first.failure !== null);
      const result = await (isBegun ? goOn(looks, queues, first) : tryInTurn(looks, queues, failure));
      if (failure !== null) {
        looks.onRecovered();
        failure = null;
      }
      if (result.outcome === "granted") {
        return result;
      }
      refused = result;
    } catch (error) {
      failure = looks.outlast(error);
    }
    const { leftMs } = looks;
    if (refused !== null && leftMs <= 0) {
      return await gaveUp("timeout", looks, refused, tries);
    }
    looks.refuseIfEnded();
    const delayMs = checkDelay(strategy(tries));
    if (delayMs === null) {
      if (refused === null) {
        throw failure;
      }
      return await gaveUp("exhausted", looks, refused, tries);
    }
    // The last try is made when the time is over.
    await looks.pause(Math.min(delayMs, leftMs));
  }
}

/** Goes on with the try that the first attempt has begun. */
async function goOn(looks: Looks, queues: LocalQueues, first: FirstResult): Promise<Granted | NotGranted> {
  if (first.failure !== null && looks.clock.isPast(first.deadline)) {
    throw first.failure;
  }
  return await tryOnce(looks, queues, first);
}

/** One more try. Thousands that are refused together may be due together. */
function tryInTurn(looks: Looks, queues: LocalQueues, failure: UnavailableError | null): Promise<Granted | NotGranted> {
  return queues.inTurn(() => {
    return tryOnce(looks, queues, { answer: null, failure, deadline: looks.deadline() });
  });
}

async function gaveUp(
  outcome: "timeout" | "exhausted",
  looks: Looks,
  refused: NotGranted,
  tries: number,
): Promise<NotGranted> {
  const blockingPid = refused.outcome === "busy" ? await looks.findBlocker() : null;
  return { outcome, holder: refused.holder, blockingPid, tries };
}

/** What a strategy has returned. @throws InvalidOptionError */
export function checkDelay(value: unknown): number | null {
  if (value === null || (typeof value === "number" && Number.isFinite(value) && value >= 0)) return value;
  const expected = "null or a number of 0 and up (milliseconds) from the strategy";
  throw new InvalidOptionError({ option: "retry", expected, received: value });
}
