import type { ConnectionOptions } from "../api/connection-options.js";
import { InvalidOptionError } from "../errors/errors.js";
import { checkNames } from "../errors/option-checks.js";

type Refused = Readonly<Record<string, string>>;

const ownTimeouts = "the library keeps its own; use connectTimeoutMs, requestTimeoutMs and idleTimeoutMs of the locker";
const ownTypes = "the library reads its results in the forms that Postgres sends";

/** The options of postgres.js that are refused, each with the reason. */
const refused: Refused = {
  max: "the session is one connection by its nature, and the library uses 3 at most",
  max_lifetime: "it would end a connection that holds locks",
  idle_timeout: ownTimeouts,
  timeout: ownTimeouts,
  connect_timeout: ownTimeouts,
  backoff: "the library reconnects at a pace of its own",
  max_pipeline: "the library bounds what it sends itself",
  prepare: "the library decides it, by what poolers allow",
  no_prepare: "the library decides it, by what poolers allow",
  fetch_types: ownTypes,
  types: ownTypes,
  transform: ownTypes,
  debug: "it would write the locks' secret tokens to logs and errors",
  onclose: "the library listens there for the loss of the session; use onError or onLost of the locker",
  onnotify: "the library listens there for its waiters",
  onparameter: "the library sets the session's parameters itself",
  socket: "a connection that is not the library's own cannot be timed out safely",
  publications: "the library does not subscribe to any",
  hostname: "use host",
  db: "use database",
  pass: "use password",
};

/** Start-up parameters that would break a connection of the library. */
const refusedStartup: Refused = {
  user: "use connection.user",
  database: "use connection.database",
  replication: "a replication connection runs no locks",
};

const isText: Check = (value) => typeof value === "string" && value !== "" && !value.includes("\0");
const isFunction: Check = (value) => typeof value === "function";
const isObject: Check = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

type Check = (value: unknown) => boolean;

/** Every accepted option: its check, and what the check expects. */
const taken: { readonly [Name in keyof Required<ConnectionOptions>]: readonly [Check, expected: string] } = {
  host: [isText, "a server's name or IP address"],
  port: [
    (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65_535,
    "an integer of 1 to 65535",
  ],
  path: [isText, "the path of a unix socket"],
  database: [isText, "a database's name"],
  user: [isText, "a role's name"],
  username: [isText, "a role's name"],
  password: [(value) => typeof value === "string" || isFunction(value), "a string, or a function that gives one"],
  ssl: [
    (value) =>
      typeof value === "boolean" || isObject(value) || isOneOf("require", "allow", "prefer", "verify-full")(value),
    'true, false, "require", "allow", "prefer", "verify-full" or an object with options of tls.connect',
  ],
  sslnegotiation: [isOneOf("postgres", "direct"), '"postgres" or "direct"'],
  keep_alive: [
    (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 86_400,
    "an integer of 1 to 86400 (seconds)",
  ],
  target_session_attrs: [
    isOneOf("read-write", "primary"),
    '"read-write" or "primary", for locks live on a server that accepts writes',
  ],
  onnotice: [isFunction, "a function"],
  connection: [isObject, "an object with start-up parameters"],
};

/**
 * Checks the option `connection`, or the one of this kind at another place. Throws InvalidOptionError, which says why an option of postgres.js
 * is refused.
 */
export function checkConnectionOptions(value: unknown, place = "connection"): ConnectionOptions {
  if (value === undefined) return {};
  if (!isObject(value)) throw new InvalidOptionError({ option: place, expected: "an object", received: value });
  const given = value as Readonly<Record<string, unknown>>;
  refuse(place, given, refused);
  checkNames(place, given, Object.keys(taken), `${place}.`);
  for (const [name, [isValid, expected]] of Object.entries(taken)) {
    const received = given[name];
    if (received === undefined || isValid(received)) continue;
    throw new InvalidOptionError({ option: `${place}.${name}`, expected, received });
  }
  const options = given as ConnectionOptions;
  if (options.connection !== undefined) checkStartup(options.connection, `${place}.connection`);
  return options.connection === undefined ? { ...options } : { ...options, connection: { ...options.connection } };
}

function checkStartup(parameters: Readonly<Record<string, unknown>>, place: string): void {
  refuse(place, parameters, refusedStartup);
  for (const [name, received] of Object.entries(parameters)) {
    const option = `${place}.${name}`;
    const isEncoding = name.toLowerCase() === "client_encoding";
    if (isEncoding && !/^utf-?8$/i.test(String(received))) {
      throw new InvalidOptionError({ option, expected: "UTF8, the only encoding that postgres.js reads", received });
    }
    const isValid =
      received === undefined || isText(received) || Number.isFinite(received) || typeof received === "boolean";
    if (!isValid) throw new InvalidOptionError({ option, expected: "text, a number, true or false", received });
  }
}

function refuse(place: string, given: Readonly<Record<string, unknown>>, reasons: Refused): void {
  for (const name of Object.keys(given)) {
    const reason = Object.hasOwn(reasons, name) ? reasons[name] : undefined;
    if (reason === undefined) continue;
    const option = `${place}.${name}`;
    const message = `${option}: this option cannot be set: ${reason}`;
    throw new InvalidOptionError({ option, expected: "nothing", received: given[name], message });
  }
}

function isOneOf(...values: readonly string[]): Check {
  return (value) => typeof value === "string" && values.includes(value);
}
