import { InvalidOptionError } from "../errors/errors.js";
import { decode } from "./percent-encoding.js";
import { type TlsParameters, tlsParameters } from "./tls-options.js";

/** The parameters of an address, by what they are used for. */
export interface UrlParameters {
  readonly host?: string;
  readonly port?: string;
  readonly user?: string;
  readonly password?: string;
  readonly dbname?: string;
  readonly tls: TlsParameters;
  readonly sslnegotiation: "direct" | null;
  readonly connectTimeoutMs: number | null;
  readonly applicationName: string | null;
  readonly targetSessionAttrs: "any" | "read-write";
  readonly startup: Readonly<Record<string, string>>;
  readonly isPooledHint: boolean;
  /** Channel binding was demanded. postgres.js does not support it, so only the TLS that it needs is enforced. */
  readonly needsTls: boolean;
}

/**
 * Parameters of other clients that have no meaning here. postgres.js passes unknown parameters on, and Postgres would
 * refuse the connection because of them (42704).
 */
const dropped: ReadonlySet<string> = new Set([
  // libpq: what postgres.js cannot do or always does, or what the locker has an option for
  ...["gssencmode", "gssdelegation", "gsslib", "krbsrvname", "load_balance_hosts", "sslcompression"],
  ...["keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "sslsni"],
  "fallback_application_name",
  // node-postgres
  "uselibpqcompat",
  // Prisma
  ...["schema", "connection_limit", "pool_timeout", "socket_timeout", "statement_cache_size"],
  ...["max_connection_lifetime", "max_idle_connection_lifetime", "single_use_connections"],
  // Supabase's integrations
  ...["supa", "workaround", "pool_mode"],
  // pools and caches of postgres.js, pgx, asyncpg, Rails, Npgsql
  ...["max", "idle_timeout", "max_lifetime", "max_pipeline", "backoff", "keep_alive", "prepare", "fetch_types"],
  ...[
    "pool_max_conns",
    "pool_min_conns",
    "pool_max_conn_lifetime",
    "pool_max_conn_idle_time",
    "pool_size",
    "max_overflow",
  ],
  ...["default_query_exec_mode", "statement_cache_mode", "statement_cache_capacity", "description_cache_capacity"],
  ...["prepared_statement_cache_size", "prepared_statements", "prepareThreshold", "pool", "reaping_frequency"],
  // settings for the application's own sessions; the library names its schema and sets what it needs
  ...["search_path", "currentSchema", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"],
  ...["idle_session_timeout", "transaction_timeout", "timezone", "TimeZone", "datestyle", "intervalstyle"],
]);

const noFiles = "files of libpq are not read: write what they say into the address";

/** Parameters that it would be harmful to ignore, and why they are not supported. */
const refused: Readonly<Record<string, string>> = {
  sslidentity: "PKCS #12 files are not read: use sslcert and sslkey, or connection.ssl",
  sslcrl: "use connection.ssl with a crl",
  sslcrldir: "use connection.ssl with a crl",
  sslcertmode: "leave it out: a certificate is sent when sslcert is given",
  sslkeylogfile: "it would write down the keys of the connection",
  require_auth: "the way to authenticate cannot be demanded: demand it in the server's pg_hba.conf",
  requiressl: "use sslmode=require",
  requirepeer: "the owner of a unix socket cannot be checked",
  hostaddr: "use host",
  service: noFiles,
  servicefile: noFiles,
  passfile: noFiles,
  replication: "a replication connection runs no locks",
};

/** Reads the query of an address. Throws InvalidOptionError, which shows the name of a parameter, never its value. */
export function readParameters(query: string, option: string): UrlParameters {
  const given = parse(query, option);
  const rest = new Map(given);
  const take = (name: string): string | undefined => {
    const value = rest.get(name);
    rest.delete(name);
    return value === "" ? undefined : value;
  };
  const present = (names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, take(name)] as const).filter(([, value]) => value !== undefined));

  checkEncoding(take("client_encoding"), option);
  const options = take("options");
  const pgbouncer = take("pgbouncer");
  const channelBinding = take("channel_binding");
  if (![undefined, "disable", "prefer", "require"].includes(channelBinding)) {
    throw refuseParameter(option, "channel_binding", "disable, prefer or require");
  }
  const parameters: UrlParameters = {
    ...present(["host", "port", "user", "password", "dbname"]),
    tls: present(tlsParameters),
    sslnegotiation: sslNegotiation(take("sslnegotiation"), option),
    connectTimeoutMs: connectTimeout(take("connect_timeout"), option),
    applicationName: take("application_name") ?? null,
    targetSessionAttrs: sessionAttrs(take("target_session_attrs"), option),
    startup: options === undefined ? {} : { options },
    isPooledHint: pgbouncer === "true" || pgbouncer === "1",
    needsTls: channelBinding === "require",
  };
  for (const name of rest.keys()) refuseUnknown(name, option, query);
  return parameters;
}

/** As libpq does: the last of several wins, and a `+` is a plus. In parameters whose text has blanks, `+` is a blank. */
function parse(query: string, option: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const part of query.split("&").filter((text) => text !== "")) {
    const equals = part.indexOf("=");
    const name = decode(equals < 0 ? part : part.slice(0, equals), option);
    const value = equals < 0 ? "" : part.slice(equals + 1);
    const hasBlanks = name === "options" || name === "application_name";
    parameters.set(name, decode(hasBlanks ? value.replaceAll("+", " ") : value, option));
  }
  return parameters;
}

function refuseUnknown(name: string, option: string, query: string): void {
  if (dropped.has(name)) return;
  const reason = Object.hasOwn(refused, name) ? refused[name] : undefined;
  // If the password contains a "?", its rest looks like a parameter.
  if (reason === undefined && (!/^[a-z_]+$/.test(name) || query.includes("@"))) {
    throw new InvalidOptionError({
      option,
      expected: 'an address whose password has each "?" written as %3F and each "#" as %23',
      received: undefined,
      message: `${option}: what stands behind a "?" is no parameter that is known (it is not shown, for it may be a part of the password). In user and password write "?" as %3F, "#" as %23, "/" as %2F, "@" as %40 and "%" as %25`,
    });
  }
  const advice =
    reason ?? "it is not known. Leave it out; a start-up parameter of Postgres belongs into connection.connection";
  throw refuseParameter(option, name, "none", `cannot be used: ${advice}`);
}

function sslNegotiation(value: string | undefined, option: string): "direct" | null {
  if (value === undefined || value === "postgres") return null;
  if (value === "direct") return value;
  throw refuseParameter(option, "sslnegotiation", "postgres or direct");
}

/** In whole seconds. 0 means "no limit" in libpq, which the locker does not offer. */
function connectTimeout(value: string | undefined, option: string): number | null {
  if (value === undefined || value === "0") return null;
  if (/^\d{1,6}$/.test(value)) return Number(value) * 1_000;
  throw refuseParameter(option, "connect_timeout", "a number of whole seconds");
}

function sessionAttrs(value: string | undefined, option: string): "any" | "read-write" {
  if (value === undefined || value === "any") return "any";
  if (value === "read-write" || value === "primary") return "read-write";
  throw refuseParameter(
    option,
    "target_session_attrs",
    "read-write, primary or any, for locks live on a server that accepts writes",
  );
}

function checkEncoding(value: string | undefined, option: string): void {
  if (value === undefined || value === "auto" || /^(utf-?8|unicode)$/i.test(value)) return;
  throw refuseParameter(option, "client_encoding", "UTF8, the only encoding that postgres.js reads");
}

function refuseParameter(
  option: string,
  name: string,
  expected: string,
  says: string = `expected ${expected}`,
): InvalidOptionError {
  const message = `${option}: parameter ${JSON.stringify(name)}: ${says}`;
  return new InvalidOptionError({ option, expected: `parameter ${name}: ${expected}`, received: undefined, message });
}
