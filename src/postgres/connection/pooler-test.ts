import { UnsafeBackendError } from "../../errors/errors.js";
import { sleep } from "../../runtime/clock.js";
import { RequestTimeout, withTimeout } from "../../runtime/timeout.js";
import { type Hello, seemsDirect } from "./connect.js";
import type { Link } from "./link.js";
import { LinkClosed } from "./link-closed.js";
import type { Probe } from "./probe.js";
import { sqlState } from "./server-errors.js";

const TURNS = 1;
const SUSPICIOUS_TURNS = 12;
const MAX_PAUSE_MS = 5;

const remedy = 'Give the direct address of Postgres as directUrl, or set presence: "off"';

export interface PoolerTestOptions {
  readonly link: Link;
  readonly hello: Hello;
  readonly probes: readonly [Probe, Probe];
  /**
   * For each step, not for all of them: a pooler that has no backend left never answers, one that is slow or far away answers each time.
   * 40 round trips of 60 ms took as long as half the default of `requestTimeoutMs`, and a session pooler was refused.
   */
  readonly patienceMs: number;
}

/**
 * Finds out whether the session's connection keeps its backend. Until then it gets nothing that a pooler would keep: no
 * setting, lock, LISTEN or prepared statement. Two probes take turns at holding a transaction open, so that a
 * transaction pooler has to give the session another backend. A probe opens its transaction only after the session's
 * answer, because a pooler mostly hands out the backend that it got back last. Each turn asks the session twice and
 * takes three round trips.
 *
 * Measured with PgBouncer and 0 to 8 busy clients: of 1,800 sessions behind it, 27 passed one turn and none passed
 * five. When both probes opened together and the session was asked once, 31 passed nine round trips, and 64 waited for
 * a backend for ever. When it was asked while a probe was opening its transaction, some passed all 25 turns. With
 * clients that kept in step, 4 of 3,000 passed all turns without pauses and none of 3,600 with them.
 *
 * @throws UnsafeBackendError; RequestTimeout if a step has no answer
 */
export async function refusePooler({ link, hello, probes, patienceMs }: PoolerTestOptions): Promise<void> {
  const isSuspicious = !seemsDirect(hello);
  const pause = isSuspicious ? () => sleep(Math.random() * MAX_PAUSE_MS) : () => undefined;
  const ask = async (): Promise<void> => {
    await pause();
    const [row] = await withTimeout(link.query("select pg_catalog.pg_backend_pid() as pid"), patienceMs);
    if (Number(row?.pid) !== hello.pid) {
      throw new UnsafeBackendError({
        problem:
          "The session's connection goes through a transaction pooler: its backend changes, and locks taken on it protect nothing",
        remedy,
      });
    }
  };
  let [current, next] = probes;
  await withTimeout(current.openTransaction(), patienceMs);
  await ask();
  for (let turn = 0; turn < (isSuspicious ? SUSPICIOUS_TURNS : TURNS); turn += 1) {
    await pause();
    await withTimeout(next.openTransaction(), patienceMs);
    const ended = current.rollBack();
    ended.catch(() => undefined); // the session's answer comes first
    await ask();
    await withTimeout(ended, patienceMs);
    await ask();
    [current, next] = [next, current];
  }
}

/**
 * Explains an error that a transaction pooler causes while a session is set up: no backend is left, or, if the test
 * failed to notice it, statements and locks are on other backends than expected. A session pooler also makes up a pid,
 * but causes none of these errors.
 */
export function blamePooler(error: unknown, hello: Hello): unknown {
  const isOdd =
    error instanceof RequestTimeout ||
    error instanceof LinkClosed ||
    ["26000", "42P05", "55P03", "LH004"].includes(sqlState(error) ?? "");
  return !isOdd || seemsDirect(hello)
    ? error
    : new UnsafeBackendError({
        problem:
          "The session's connection seems to go through a transaction pooler: it does not keep its backend, or gets none, and locks taken on it protect nothing",
        remedy,
        cause: error,
      });
}
