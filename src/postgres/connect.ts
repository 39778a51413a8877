import { type Instant, now } from "../clock.js";
import { UnsafeBackendError } from "../errors.js";
import { withTimeout } from "../timeout.js";
import type { ConnectionTarget } from "./connection-url.js";
import type { Host } from "./dial.js";
import { Link, LinkClosed, type LinkOptions, type Row } from "./link.js";
import { EXACT_TIMES } from "./statements.js";

/** What a fresh connection says about its server. */
export interface Hello {
  readonly pid: number;
  /** The pid that the connection was opened with. */
  readonly announcedPid: number | null;
  readonly startedMs: number;
  readonly serverVersion: string;
  readonly database: string;
  readonly role: string;
  /** Only where a standby is accepted. */
  readonly isStandby: boolean;
  readonly clock: ClockSample;
}

/** Whether this may be Postgres itself: poolers announce a pid that they made up, unless they pass on the backend's. */
export function seemsDirect({ pid, announcedPid }: Hello): boolean {
  return announcedPid === pid;
}

/** The server's time in an answer, between two moments of this process. */
export interface ClockSample {
  readonly sentAt: Instant;
  readonly receivedAt: Instant;
  readonly serverMs: number;
}

/** No primary answers. Of an address that had one before that passes, when a failover is over. */
export class StandbyOnly extends UnsafeBackendError {}

export interface ConnectOptions extends Omit<LinkOptions, "host" | "target"> {
  readonly hosts: HostList;
  /** For each host, from the first packet to the answer of the first statement: password, TLS and login are in it. */
  readonly connectTimeoutMs: number;
  /** Statements for a connection that is ours alone; none behind a pooler, where they would stick to a stranger's. */
  readonly settings: readonly string[];
  /** To look is possible there, too. Default: a standby is refused. */
  readonly acceptsStandby?: boolean;
  /** Gives it up at once. */
  readonly signal: AbortSignal | null;
}

/** The hosts of an address. All connections of a locker try the one first that worked last. */
export class HostList {
  readonly target: ConnectionTarget;
  #first = 0;

  constructor(target: ConnectionTarget) {
    this.target = target;
  }

  /** The hosts in the order to try them; one entry, null, for a unix socket. */
  inOrder(): readonly Host[] {
    const { hosts } = this.target;
    return hosts.length === 0 ? [null] : [...hosts.slice(this.#first), ...hosts.slice(0, this.#first)];
  }

  prefer(host: Host): void {
    this.#first = host === null ? 0 : Math.max(0, this.target.hosts.indexOf(host));
  }
}

/** What our own connections set, whatever the role, the database or the server have as defaults. */
export const ownSettings: readonly string[] = [
  "set default_transaction_isolation = 'read committed'",
  "set default_transaction_read_only = off",
  "set statement_timeout = 0",
  "set lock_timeout = 0",
  "set idle_in_transaction_session_timeout = 0",
  // Those that not every version has.
  "select set_config(name, '0', false) from pg_settings where name in ('idle_session_timeout', 'transaction_timeout')",
  // Of heartbeats; the other statements see to it themselves.
  "set extra_float_digits = 1",
  // An array's null would be the text "null".
  "set array_nulls = on",
  "set jit = off",
];

const HELLO = `select pg_backend_pid() as pid, pg_is_in_recovery() as standby,
  (extract(epoch from a.backend_start) * 1000)::float8 as started, current_setting('server_version') as version,
  current_database() as database, session_user::text as role, (extract(epoch from clock_timestamp()) * 1000)::float8 as now
  from ${EXACT_TIMES} left join pg_stat_activity a on a.pid = pg_backend_pid()`;

/**
 * Connects to the first host that is a primary. Each host has `connectTimeoutMs`.
 * @throws the last host's error; StandbyOnly when the only ones that answer are standbys
 */
export async function connect(options: ConnectOptions): Promise<{ link: Link; hello: Hello }> {
  let failure: unknown = new LinkClosed("the address names no host");
  for (const host of options.hosts.inOrder()) {
    if (options.signal?.aborted) {
      throw new LinkClosed("given up while connecting");
    }
    const link = new Link({ ...options, host, target: options.hosts.target });
    const onAbort = (): void => link.destroy(new LinkClosed("given up while connecting"));
    options.signal?.addEventListener("abort", onAbort, { once: true });
    try {
      const hello = await withTimeout(greet(link, options), options.connectTimeoutMs, () => link.destroy());
      options.hosts.prefer(host);
      if (seemsDirect(hello)) {
        link.pipeline();
      }
      return { link, hello };
    } catch (error) {
      link.destroy();
      if (!(failure instanceof StandbyOnly)) {
        failure = error;
      }
    } finally {
      options.signal?.removeEventListener("abort", onAbort);
    }
  }
  throw failure;
}

async function greet(link: Link, { settings, acceptsStandby = false }: ConnectOptions): Promise<Hello> {
  const sentAt = now();
  const answer = await link.query([...settings, HELLO].join(";\n"));
  const receivedAt = now();
  // Several statements answer with an array of results, one statement with its rows.
  const rows = (Array.isArray(answer.at(-1)) ? answer.at(-1) : answer) as readonly Row[] & { state?: { pid?: number } };
  const row = rows[0] as Row;
  if (row.standby === true && !acceptsStandby) {
    throw new StandbyOnly({
      problem: "This server is a standby: it cannot grant a lease",
      remedy: "Connect to the primary; a URL may name several hosts",
    });
  }
  return {
    pid: Number(row.pid),
    announcedPid: rows.state?.pid ?? null,
    startedMs: Number(row.started),
    serverVersion: String(row.version),
    database: String(row.database),
    role: String(row.role),
    isStandby: row.standby === true,
    clock: { sentAt, receivedAt, serverMs: Number(row.now) },
  };
}
