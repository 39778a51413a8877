import { randomUUID } from "node:crypto";
import { withTimeout } from "../../runtime/timeout.js";
import type { ClockSample } from "../../store/server-clock.js";
import { type Hello, settle } from "../connection/connect.js";
import { milliseconds } from "../connection/exact-times.js";
import type { Link } from "../connection/link.js";
import { sqlState } from "../connection/server-errors.js";
import { beat } from "./heartbeat.js";

/** First key of the advisory lock that each session holds. */
const PRESENCE_CLASS = 1_279_480_140;

/** A server process. Pids are reused, so it needs the start time, too. */
export interface Backend {
  readonly pid: number;
  readonly startedMs: number;
}

/** What the row in `sessions` says about this process. */
export interface Identity {
  readonly owner: string;
  readonly host: string;
  readonly version: string;
}

export interface RegisterOptions {
  readonly link: Link;
  readonly hello: Hello;
  readonly identity: Identity;
  readonly takeoverDelayMs: number;
  /** The number that leases already name. Null for the first registration. */
  readonly knownId: number | null;
  /** The backend of the last registration. It may still hold the lock, so it is terminated first. */
  readonly lastBackend: Backend | null;
}

export interface Registration {
  readonly id: number;
  readonly nonce: string;
  /** The first heartbeat, which was sent together with the row. */
  readonly firstBeat: Promise<ClockSample>;
}

/**
 * Turns a connection that keeps its backend into a session. Settings, lock, LISTEN and row come in this order, so that
 * a process that sees the row can rely on the lock and notify the session.
 *
 * Takes two round trips if the link pipelines. After a failed statement the server continues with the next one, so no
 * statement relies on those before it: a connection that does not hold the lock cannot write the row, and the heartbeat
 * fails without the row. The first failure is reported, and ends the connection.
 */
export async function register(options: RegisterOptions): Promise<Registration> {
  const { link, hello, identity, takeoverDelayMs, knownId, lastBackend } = options;
  const [, , id] = await Promise.all([
    settle(link, sessionSettings(takeoverDelayMs)),
    lastBackend === null ? null : endBackend(link, lastBackend),
    takeLock(link, knownId),
  ]);
  const session = { id, nonce: randomUUID() };
  const opened = Promise.all([link.query(`listen leasehold_${id}`), openSession(link, session, identity)]);
  const firstBeat = beat({ link, session, pid: hello.pid });
  firstBeat.catch(() => undefined); // it may fail before anybody awaits it
  await opened;
  return { ...session, firstBeat };
}

/** Deletes the row. Never fails: at worst a row without a lock is left, which the sweeper deletes. */
export async function unregister(
  link: Link,
  { id, nonce }: Pick<Registration, "id" | "nonce">,
  timeoutMs: number,
): Promise<void> {
  const left = link.query("select leasehold_internal.close_session($1::int, $2::pg_catalog.uuid)", [id, nonce]);
  await withTimeout(left, timeoutMs, () => link.destroy()).catch(() => undefined);
}

/** Takes the lock of the number that leases name, or of a new number if another session holds that lock (after a failover). */
async function takeLock(link: Link, knownId: number | null): Promise<number> {
  for (let known = knownId; ; known = null) {
    const number = known === null ? "leasehold_internal.new_session_id()" : `(values (${known}))`;
    try {
      const [row] = await link.query(
        `select own.id, pg_catalog.pg_advisory_lock(${PRESENCE_CLASS}, own.id) from ${number} as own (id)`,
      );
      return Number(row?.id);
    } catch (error) {
      if (sqlState(error) !== "55P03") {
        throw error;
      }
    }
  }
}

/** Without the right to terminate it, the session waits for the lock instead, and takes a new number if that fails. */
async function endBackend(link: Link, { pid, startedMs }: Backend): Promise<void> {
  try {
    await link.query(
      `select pg_catalog.pg_terminate_backend(a.pid) from pg_catalog.pg_stat_activity a
        where a.pid operator(pg_catalog.=) $1::int
          and ${milliseconds("a.backend_start")} operator(pg_catalog.=) $2::double precision`,
      [pid, startedMs],
    );
  } catch (error) {
    if (sqlState(error) !== "42501") {
      throw error;
    }
  }
}

function openSession(
  link: Link,
  { id, nonce }: Pick<Registration, "id" | "nonce">,
  { owner, host, version }: Identity,
): Promise<unknown> {
  return link.query(
    "select * from leasehold_internal.open_session($1::int, $2::pg_catalog.uuid, $3::pg_catalog.text, $4::pg_catalog.text, $5::pg_catalog.text)",
    [id, nonce, owner, host, version],
  );
}

/**
 * When the network is cut, the old backend must end before the takeover delay has passed, because its lock counts as a
 * sign of life. And a backend that waits for the lock must notice that its client has died. Keepalives detect a
 * connection that was idle when it was cut. `tcp_user_timeout` detects one with data on its way to us: without it the
 * lock was kept for more than 40 s instead of 3.
 */
function sessionSettings(takeoverDelayMs: number): readonly string[] {
  const seconds = Math.max(1, Math.floor(takeoverDelayMs / 4_000));
  const wherePossible = { tcp_user_timeout: `${3 * seconds}s`, client_connection_check_interval: "1s" };
  return [
    "set lock_timeout = '1s'",
    `set tcp_keepalives_idle = ${seconds}`,
    `set tcp_keepalives_interval = ${seconds}`,
    "set tcp_keepalives_count = 2",
    ...Object.entries(wherePossible).map(([name, value]) => setWherePossible(name, value)),
  ];
}

/** For settings that some versions or platforms do not have. */
function setWherePossible(name: string, value: string): string {
  return `do $$ begin
      perform pg_catalog.set_config('${name}', '${value}', false);
    exception when others then null;
    end $$`;
}
