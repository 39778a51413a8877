import type { ConnectionTarget } from "../../config/connection-url.js";
import { NotMigratedError, UnsafeBackendError } from "../../errors/errors.js";
import { now } from "../../runtime/clock.js";
import { withTimeout } from "../../runtime/timeout.js";
import type { ClockSample } from "../../store/server-clock.js";
import type { Host } from "./dial.js";
import { failedAt, noteFailedAt, noteOthers } from "./failed-at.js";
import { Link, type LinkOptions, type Row } from "./link.js";
import { LinkClosed } from "./link-closed.js";
import { FOREIGN_OBJECTS, refuseForeign } from "./owners.js";
import { SCHEMA_VERSION } from "./schema-version.js";
import { refuseOldServer } from "./server-version.js";
import { ofOthers } from "./unavailable.js";

/** What a fresh connection says about its server. */
export interface Hello {
  readonly pid: number;
  /** The pid that the connection was opened with. */
  readonly announcedPid: number | null;
  readonly startedMs: number;
  readonly serverVersion: string;
  readonly database: string;
  readonly role: string;
  /**
   * Whether the server sees our end of the connection itself: nothing in between ends it, be it a pooler that passes on pids or a proxy that passes
   * bytes on.
   */
  readonly isUnbroken: boolean;
  /** True only if a standby is accepted. */
  readonly isStandby: boolean;
  /** False: at least one is missing. Then nothing may be called in the other one, or in one that is created later. */
  readonly hasSchemas: boolean;
  readonly clock: ClockSample;
}

/** Whether this may be Postgres itself. Poolers announce a made-up pid, unless they pass on that of the backend. */
export function seemsDirect({ pid, announcedPid }: Hello): boolean {
  return announcedPid === pid;
}

/** No primary answers. If there was one before, this ends with the failover. */
export class StandbyOnly extends UnsafeBackendError {}

export interface ConnectOptions extends Omit<LinkOptions, "host" | "target"> {
  readonly hosts: HostList;
  /** Per host, from the first packet to the answer to the first statement. Includes the password function, TLS and login. */
  readonly connectTimeoutMs: number;
  /**
   * Sent before anything else, in one message with the first query: `ownSettings` for a connection that is known to be
   * ours alone, `passingSettings` before that is known, none if a pooler is expected.
   */
  readonly settings: readonly string[];
  /** For callers that only read. Default: a standby is refused. */
  readonly acceptsStandby?: boolean;
  /** For callers that tell of it. Default: a version before `OLDEST_MAJOR` is refused. */
  readonly acceptsOld?: boolean;
  /** Default: a database without the schemas is refused, because another role could create them before they are used. */
  readonly acceptsMissing?: boolean;
  /** Default: refuses a database in which code of an untrusted role would run, see `foreignObjects`. */
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

  /** The hosts in the order in which to try them. For a unix socket, the only entry is null. */
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
/** As the server returns it under quote_all_identifiers. */
const QUOTED_SEARCH_PATH = '"pg_catalog", "pg_temp"';

/**
 * Sets the search_path before anything that could look up an operator or function in it: a role that can create one in
 * a schema of the path would run its code with our rights (CVE-2018-1058, rule 11). Not a start-up parameter, because
 * PgBouncer refuses or drops it.
 */
function pathAndTimeouts(set: "set" | "set local"): readonly string[] {
  return [
    `${set} search_path = ${SEARCH_PATH}`,
    `${set} statement_timeout = 0`,
    `${set} lock_timeout = 0`,
    `${set} idle_in_transaction_session_timeout = 0`,
    // Timeouts that some versions do not have. Not from pg_settings: to list all settings takes 1.5 ms.
    `select pg_catalog.set_config(setting, '0', ${set === "set local"}) from pg_catalog.unnest('{idle_session_timeout,transaction_timeout}'::pg_catalog.text[]) as setting where pg_catalog.current_setting(setting, true) is not null`,
  ];
}

/** The settings of our own connections, whatever the defaults of the role, the database or the server are. */
export const ownSettings: readonly string[] = [
  ...pathAndTimeouts("set"),
  "set default_transaction_isolation = 'read committed'",
  "set default_transaction_read_only = off",
  // For heartbeats. All other statements set it themselves.
  "set extra_float_digits = 1",
  // Otherwise a null in an array would be the text "null".
  "set array_nulls = on",
  "set jit = off",
];

/**
 * Settings for one message or one transaction, while it is not known whether the address leads through a transaction
 * pooler. Anything set for the session would stay on the pooler's connection and affect its next user.
 */
export const passingSettings: readonly string[] = pathAndTimeouts("set local");

/** For a connection that may be a pooler's and is used only in transactions. Ends with the transaction. */
export const ownTransactionSettings: readonly string[] = [`set local search_path = ${SEARCH_PATH}`];

/** May be sent before any setting: it means the same under any search_path, and leaves nothing behind. */
const HELLO = `select pg_catalog.pg_backend_pid() as pid, pg_catalog.pg_is_in_recovery() as standby,
  (extract(epoch from a.backend_start) operator(pg_catalog.*) 1000)::double precision as started,
  pg_catalog.current_setting('server_version') as version, pg_catalog.current_setting('search_path') as path,
  pg_catalog.inet_client_port() as port, pg_catalog.current_database()::pg_catalog.text as database, session_user::pg_catalog.text as role,
  (extract(epoch from pg_catalog.clock_timestamp()) operator(pg_catalog.*) 1000)::double precision as now
  from pg_catalog.set_config('extra_float_digits', '1', true)
  left join pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a on true`;

/**
 * Connects to the first host that is a primary. Each host has `connectTimeoutMs`.
 * @throws the last host's error, which knows those of the others; StandbyOnly if only standbys answer
 */
export async function connect(options: ConnectOptions): Promise<{ link: Link; hello: Hello }> {
  let failure: unknown = new LinkClosed("the address names no host");
  const failures: unknown[] = [];
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
      if (seemsDirect(hello) && hello.isUnbroken) {
        link.pipeline();
      }
      if (options.settings === ownSettings) {
        link.keepSettings();
      }
      return { link, hello };
    } catch (error) {
      link.destroy();
      noteFailedAt(error, link.place);
      failures.push(error);
      if (!(failure instanceof StandbyOnly)) {
        failure = error;
      }
    } finally {
      options.signal?.removeEventListener("abort", onAbort);
    }
  }
  noteOthers(
    failure,
    failures.filter((error) => error !== failure),
  );
  throw failure instanceof StandbyOnly && failures.length > 1 ? standbyAmong(failure) : failure;
}

/** Says also why the other hosts were of no use: one of them may be the primary. */
function standbyAmong(cause: StandbyOnly): StandbyOnly {
  const error = new StandbyOnly({
    problem: `${cause.problem}.${ofOthers(cause)}`.replace(/\.$/, ""),
    remedy: cause.remedy,
    cause,
  });
  noteFailedAt(error, failedAt(cause));
  return error;
}

/**
 * Applies `ownSettings` and `more` for the rest of the connection, in one message.
 * @throws UnsafeBackendError if the search_path does not stay as it was set
 */
export async function settle(link: Link, more: readonly string[] = []): Promise<void> {
  const path = "select pg_catalog.current_setting('search_path') as path";
  link.keepSettings(); // what is sent after this comes after it
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
  {
    settings,
    acceptsStandby = false,
    acceptsOld = false,
    acceptsMissing = false,
    trustsOwners = false,
  }: ConnectOptions,
): Promise<Hello> {
  const sentAt = now();
  const answer = await link.query([...settings, ...(trustsOwners ? [] : [FOREIGN_OBJECTS]), HELLO].join(";\n"));
  const receivedAt = now();
  // Several statements answer with an array of results, one statement with its rows.
  const rows = (Array.isArray(answer.at(-1)) ? answer.at(-1) : answer) as readonly Row[] & { state?: { pid?: number } };
  const row = rows[0] as Row;
  if (settings.length > 0) refusePath(row.path);
  if (!acceptsOld) refuseOldServer(String(row.version));
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
    isUnbroken: row.port === link.localPort,
    startedMs: Number(row.started),
    serverVersion: String(row.version),
    database: String(row.database),
    role: String(row.role),
    isStandby: row.standby === true,
    clock: { sentAt, receivedAt, serverMs: Number(row.now) },
  };
}
