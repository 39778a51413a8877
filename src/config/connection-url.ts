import { userInfo } from "node:os";
import type { ConnectionOptions } from "../api/connection-options.js";
import { InvalidOptionError } from "../errors/errors.js";
import { type Environment, type Hosts, readHosts } from "./hosts.js";
import { decode } from "./percent-encoding.js";
import { tlsOptions } from "./tls-options.js";
import { readParameters } from "./url-parameters.js";

/** What postgres.js accepts as `ssl`; an object has options of `tls.connect`. */
export type Ssl = NonNullable<ConnectionOptions["ssl"]>;

/** Where and how to connect: a parsed address, completed from the environment and the option `connection`. */
export interface ConnectionTarget extends Hosts {
  readonly database: string;
  readonly user: string;
  /** Empty if there is none. */
  readonly password: string | (() => string | Promise<string>);
  readonly ssl: Ssl;
  readonly sslnegotiation: "direct" | null;
  /** `connect_timeout` of the address in milliseconds, or null. */
  readonly connectTimeoutMs: number | null;
  readonly applicationName: string | null;
  readonly targetSessionAttrs: "any" | "read-write";
  /** Further start-up parameters. */
  readonly startup: Readonly<Record<string, string>>;
  /** Whether the address itself says that it leads through a transaction pooler (`pgbouncer=true`). */
  readonly isPooledHint: boolean;
}

/**
 * Parses `postgres://user:password@host:port,host:port/database?parameters` as libpq does, and accepts what other
 * clients write into an address. `connection` overrides the address. What both leave out comes from libpq's variables
 * in `env`. Errors carry the name in `option`. Of the address they show only parameter names, since it may contain a
 * password.
 */
export function parseConnectionUrl(
  url: string,
  option: string,
  connection: ConnectionOptions = {},
  env: Environment = process.env,
): ConnectionTarget {
  const parts = split(url, option);
  const parameters = readParameters(parts.query, option);
  const { hosts, path } = readHosts(
    parts.hosts,
    { ...parameters, ...present(connection, "host", "port", "path") },
    option,
    env,
  );
  const user =
    connection.user ??
    connection.username ??
    parameters.user ??
    (decode(parts.user, option) || env.PGUSER || systemUser(option));
  const { application_name, ...startup } = connection.connection ?? {};
  const isDirect = (connection.sslnegotiation ?? parameters.sslnegotiation) === "direct";
  // libpq never encrypts on a unix socket
  const asked = path !== null ? false : (connection.ssl ?? tlsOptions(parameters.tls, option, hosts, env));
  const isSslGiven = connection.ssl !== undefined || Object.keys(parameters.tls).length > 0 || Boolean(env.PGSSLMODE);
  const ssl = isDirect && path === null ? strong(asked, isSslGiven, option) : asked;
  return {
    hosts,
    path,
    user,
    password: connection.password ?? parameters.password ?? (decode(parts.password, option) || env.PGPASSWORD || ""),
    database: connection.database ?? parameters.dbname ?? (decode(parts.database, option) || env.PGDATABASE || user),
    ssl: parameters.needsTls ? demandTls(ssl, option) : ssl,
    sslnegotiation: isDirect ? "direct" : null,
    connectTimeoutMs: parameters.connectTimeoutMs,
    applicationName: application_name === undefined ? parameters.applicationName : String(application_name),
    targetSessionAttrs: connection.target_session_attrs === undefined ? parameters.targetSessionAttrs : "read-write",
    startup: { ...parameters.startup, ...toText(startup) },
    isPooledHint: parameters.isPooledHint,
  };
}

/** Direct TLS cannot fall back to an unencrypted connection. Like libpq, refuse a mode that allows that. */
function strong(ssl: Ssl, isGiven: boolean, option: string): Ssl {
  if (ssl !== false && ssl !== "prefer" && ssl !== "allow") return ssl;
  if (!isGiven) return "require";
  const expected = "sslmode require, verify-ca or verify-full beside sslnegotiation=direct";
  throw new InvalidOptionError({ option, expected, received: ssl, message: `${option}: expected ${expected}` });
}

function demandTls(ssl: Ssl, option: string): Ssl {
  if (ssl === false) {
    throw new InvalidOptionError({
      option,
      expected: "channel_binding=require to stand beside an sslmode of require or stronger",
      received: undefined,
      message: `${option}: parameter "channel_binding": require needs TLS: add sslmode=require or stronger, or leave it out`,
    });
  }
  return ssl === "prefer" || ssl === "allow" ? "require" : ssl;
}

interface UrlParts {
  readonly user: string;
  readonly password: string;
  readonly hosts: string;
  readonly database: string;
  readonly query: string;
}

/** The class URL supports neither several hosts nor the path of a socket. */
function split(url: string, option: string): UrlParts {
  const match = /^postgres(?:ql)?:\/\/([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/is.exec(url.trim());
  if (match === null) {
    const isPrismas = /^prisma(\+postgres)?:/i.test(url.trim());
    const advice = isPrismas ? "; a prisma: address leads to a proxy that is no Postgres server" : "";
    const expected = `an address that starts with postgres:// or postgresql://${advice}`;
    throw new InvalidOptionError({ option, expected, received: url });
  }
  const [, authority = "", database = "", query = ""] = match;
  if (database.includes("@")) throw ambiguous(option);
  const at = authority.lastIndexOf("@");
  const userinfo = authority.slice(0, Math.max(at, 0));
  const [user = ""] = userinfo.split(":", 1);
  return { user, password: userinfo.slice(user.length + 1), hosts: authority.slice(at + 1), database, query };
}

/**
 * Behind the first "/" there is no "@" unless that "/" is part of a password. What stands before it would then be taken for the
 * host, and be shown as one.
 */
function ambiguous(option: string): InvalidOptionError {
  const expected = 'an address with no "@" behind its first "/"';
  const message =
    `${option}: an "@" stands behind the first "/", so it cannot be told where the password ends. ` +
    "In user, password and database name write @ as %40, / as %2F, : as %3A, ? as %3F and # as %23 (percent-encoding)";
  return new InvalidOptionError({ option, expected, received: undefined, message });
}

function systemUser(option: string): string {
  try {
    return userInfo().username;
  } catch (cause) {
    // The user id has no entry in the system's user database, as in many containers.
    const expected = "an address with a user (this process's own user has no name)";
    throw new InvalidOptionError({ option, expected, received: "", cause });
  }
}

function toText(parameters: NonNullable<ConnectionOptions["connection"]>): Record<string, string> {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
}

function present<T extends object, Name extends keyof T>(
  from: T,
  ...names: readonly Name[]
): { [N in Name]?: Exclude<T[N], undefined> } {
  const given = names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]);
  return Object.fromEntries(given);
}
