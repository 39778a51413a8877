import { sleep } from "../clock.js";
import { UnsafeBackendError } from "../errors.js";
import { RequestTimeout } from "../timeout.js";
import type { Bystander } from "./bystander.js";
import { type Hello, seemsDirect } from "./connect.js";
import { type Link, LinkClosed } from "./link.js";
import { sqlState } from "./server-errors.js";

const TURNS = 1;
const SUSPICIOUS_TURNS = 12;
const MAX_PAUSE_MS = 5;

const remedy = 'Give the direct address of Postgres as directUrl, or set presence: "off"';

export interface PoolerTestOptions {
  readonly link: Link;
  readonly hello: Hello;
  readonly bystanders: readonly [Bystander, Bystander];
}

/**
 * Whether the session's connection keeps its backend, before anything is put on it that a pooler would keep: no setting, no
 * lock, no LISTEN, no prepared statement. Asked while others sit in open transactions and take what a transaction pooler has to
 * give. They take turns, and one sits down only after an answer to the session: what a pooler got
 * back last it mostly gives away first. In each turn the session is asked twice, in three round trips.
 *
 * In front of PgBouncer with 0 to 8 busy clients, of 1,800 sessions 27 passed one turn, and none five. When both others sat
 * down, the session was asked once, and both rose, 31 passed nine round trips, and 64 waited for a backend for ever. Asked
 * while an other sat down, some passed all 25 times; and with clients that kept in step, 4 of 3,000 passed all turns until
 * there were pauses: then none of 3,600.
 *
 * @throws UnsafeBackendError
 */
export async function refusePooler({ link, hello, bystanders }: PoolerTestOptions): Promise<void> {
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
  let [sitting, next] = bystanders;
  await sitting.sit();
  await ask();
  for (let turn = 0; turn < (isSuspicious ? SUSPICIOUS_TURNS : TURNS); turn += 1) {
    await pause();
    await next.sit();
    const risen = sitting.rise();
    risen.catch(() => undefined); // what the session says comes first
    await ask();
    await risen;
    await ask();
    [sitting, next] = [next, sitting];
  }
}

/**
 * What a transaction pooler does to a session that is being set up: there is no backend left; or, if the test took it for none,
 * statements and locks are on other backends than they were put on. A session pooler, which also makes up a pid, does none of this.
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
