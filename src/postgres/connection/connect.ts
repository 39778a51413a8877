import type { ConnectionTarget } from "../../config/connection-url.js";
import { NotMigratedError, UnsafeBackendError } from "../../errors/errors.js";
import { type Instant, now } from "../../runtime/clock.js";
import { withTimeout } from "../../runtime/timeout.js";
import type { Host } from "./dial.js";
import { Link, LinkClosed, type LinkOptions, type Row } from "./link.js";
import { FOREIGN_OBJECTS, refuseForeign } from "./owners.js";
import { SCHEMA_VERSION } from "./schema-version.js";

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
  /** False: one is missing, and nothing may be called in the other, nor in what is made later. */
  readonly hasSchemas: boolean;
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

/** No primary answers. If there was one before, this passes when the failover is done. */
export class StandbyOnly extends UnsafeBackendError {}

export interface ConnectOptions extends Omit<LinkOptions, "host" | "target"> {
  readonly hosts: HostList;
  /** For each host, from the first packet to the answer of the first statement: password, TLS and login are in it. */
  readonly connectTimeoutMs: number;
  /**
   * What is sent before anything else, in one message with the first question: `ownSettings` for a connection that is known to
   * be ours alone; `passingSettings` before that is known; none where a pooler is expected.
   */
  readonly settings: readonly string[];
  /** For a caller that only reads. Default: a standby is refused. */
  readonly acceptsStandby?: boolean;
  /** Default: a database without the schemas is refused, for somebody could make them before they are used. */
  readonly acceptsMissing?: boolean;
  /** Default: refuses a database in which somebody else's code would run, see `foreignObjects`. */
  readonly trustsOwners?: boolean;
  /** Aborts the attempt at once. */
  readonly signal: AbortSignal | null;
}

/** The hosts of an address. Each new connection first tries the host that worked last. */
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

/** The search_path of our own connections. */
const SEARCH_PATH = "pg_catalog, pg_temp";
/** As the server repeats it under quote_all_identifiers. */
const QUOTED_SEARCH_PATH = '"pg_catalog", "pg_temp"';

/**
 * The search_path comes first, before anything that could look up an operator or a function in it: a role that may create one in a schema
 * of the path would run its code with our rights (CVE-2018-1058, rule 11). Not as a start-up parameter: PgBouncer refuses or drops it.
 */
function pathAndTimeouts(set: "set" | "set local"): readonly string[] {
  return [
    `${set} search_path = ${SEARCH_PATH}`,
    `${set} statement_timeout = 0`,
    `${set} lock_timeout = 0`,
    `${set} idle_in_transaction_session_timeout = 0`,
    // Those that not every version has.
    `select pg_catalog.set_config(s.name, '0', ${set === "set local"}) from pg_catalog.pg_settings s where s.name operator(pg_catalog.=) any ('{idle_session_timeout,transaction_timeout}'::pg_catalog.text[])`,
  ];
}

/** What our own connections set, whatever the role, the database or the server have as defaults. */
export const ownSettings: readonly string[] = [
  ...pathAndTimeouts("set"),
  "set default_transaction_isolation = 'read committed'",
  "set default_transaction_read_only = off",
  // Of heartbeats; the other statements see to it themselves.
  "set extra_float_digits = 1",
  // An array's null would be the text "null".
  "set array_nulls = on",
  "set jit = off",
];

/**
 * Settings for one message or one transaction, while it is not known yet whether there is a transaction pooler behind the address. Anything
 * set for the session would stay on the pooler's connection, and affect whoever gets it next.
 */
export const passingSettings: readonly string[] = pathAndTimeouts("set local");

/** For a connection that may be a pooler's and is asked in transactions alone: nothing of it outlives one. */
export const ownTransactionSettings: readonly string[] = [`set local search_path = ${SEARCH_PATH}`];

/** Also sent where nothing was set before it: it means the same whatever the path is, and leaves nothing behind. */
const HELLO = `select pg_catalog.pg_backend_pid() as pid, pg_catalog.pg_is_in_recovery() as standby,
  (extract(epoch from a.backend_start) operator(pg_catalog.*) 1000)::double precision as started,
  pg_catalog.current_setting('server_version') as version, pg_catalog.current_setting('search_path') as path,
  pg_catalog.current_database()::pg_catalog.text as database, session_user::pg_catalog.text as role,
  (extract(epoch from pg_catalog.clock_timestamp()) operator(pg_catalog.*) 1000)::double precision as now
  from pg_catalog.set_config('extra_float_digits', '1', true)
  left join pg_catalog.pg_stat_activity a on a.pid operator(pg_catalog.=) pg_catalog.pg_backend_pid()`;

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

/**
 * Sets for good what was not set when the connection was made, and `more`, in one message.
 * @throws UnsafeBackendError when the path does not stay
 */
export async function settle(link: Link, more: readonly string[] = []): Promise<void> {
  const path = "select pg_catalog.current_setting('search_path') as path";
  const answer = await link.query([...ownSettings, ...more, path].join(";\n"));
  const [row] = answer.at(-1) as unknown as readonly Row[];
  refusePath(row?.path);
}

function refusePath(path: unknown): void {
  if (path !== SEARCH_PATH && path !== QUOTED_SEARCH_PATH) {
    throw new UnsafeBackendError({
      problem: `The search_path of this connection does not stay as it was set: it is ${JSON.stringify(path)}, so that code of others could run in the library's statements`,
      remedy: "Give the direct address of Postgres, without anything in between that changes settings",
    });
  }
}

async function greet(
  link: Link,
  { settings, acceptsStandby = false, acceptsMissing = false, trustsOwners = false }: ConnectOptions,
): Promise<Hello> {
  const sentAt = now();
  const answer = await link.query([...settings, ...(trustsOwners ? [] : [FOREIGN_OBJECTS]), HELLO].join(";\n"));
  const receivedAt = now();
  // Several statements answer with an array of results, one statement with its rows.
  const rows = (Array.isArray(answer.at(-1)) ? answer.at(-1) : answer) as readonly Row[] & { state?: { pid?: number } };
  const row = rows[0] as Row;
  if (settings.length > 0) refusePath(row.path);
  const hasSchemas = trustsOwners || refuseForeign(answer.at(-2) as unknown as readonly Row[]);
  if (row.standby === true && !acceptsStandby) {
    throw new StandbyOnly({
      problem: "This server is a standby: it cannot grant a lease",
      remedy: "Connect to the primary; a URL may name several hosts",
    });
  }
  if (!hasSchemas && !acceptsMissing) throw new NotMigratedError({ found: null, needed: SCHEMA_VERSION });
  return {
    hasSchemas,
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
