import { UnsafeBackendError } from "../../errors/errors.js";
import { sleep } from "../../runtime/clock.js";
import { RequestTimeout } from "../../runtime/timeout.js";
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
 * @throws UnsafeBackendError
 */
export async function refusePooler({ link, hello, probes }: PoolerTestOptions): Promise<void> {
  const isSuspicious = !seemsDirect(hello);
  const pause = isSuspicious ? () => sleep(Math.random() * MAX_PAUSE_MS) : () => undefined;
  const ask = async (): Promise<void> => {
    await pause();
    const [row] = await link.query("select pg_catalog.pg_backend_pid() as pid");
    if (Number(row?.pid) !== hello.pid) {
      throw new UnsafeBackendError({
        problem:
          "The session's connection goes through a transaction pooler: its backend changes, and locks taken on it protect nothing",
        remedy,
      });
    }
  };
  let [current, next] = probes;
  await current.openTransaction();
  await ask();
  for (let turn = 0; turn < (isSuspicious ? SUSPICIOUS_TURNS : TURNS); turn += 1) {
    await pause();
    await next.openTransaction();
    const ended = current.rollBack();
    ended.catch(() => undefined); // the session's answer comes first
    await ask();
    await ended;
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
