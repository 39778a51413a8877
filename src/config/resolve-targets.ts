import type { ConnectionOptions } from "../api/connection-options.js";
import type { PostgresClient } from "../api/postgres-client.js";
import { InvalidOptionError } from "../errors/errors.js";
import { type ConnectionTarget, parseConnectionUrl } from "./connection-url.js";
import type { Environment } from "./hosts.js";

interface Addresses {
  readonly url: unknown;
  readonly directUrl: unknown;
  readonly connection: ConnectionOptions;
  readonly client: PostgresClient | null;
  readonly env: Environment;
}

/** Where commands and the session connect. Null: where the given client connects. */
export interface Targets {
  readonly target: ConnectionTarget | null;
  readonly directTarget: ConnectionTarget | null;
}

/** An empty address: everything comes from `connection` and libpq's variables. */
const EMPTY_URL = "postgres://";

/** Where the environment has the address past any pooler, beside one of its own. The first is this library's. */
export const directUrlVariables = ["LEASEHOLD_DIRECT_URL", "DIRECT_URL", "DATABASE_URL_UNPOOLED"] as const;

/** Those of libpq that say where to connect. The others complete an address. */
const libpqVariables = ["PGHOST", "PGPORT", "PGDATABASE", "PGUSER"];

/**
 * What the code names is read and checked at once. What the environment names is read at the first use: a build makes lockers, too, and has
 * no database, and variables may be loaded after the module that makes the locker.
 * @throws InvalidOptionError, as the function does that it returns
 */
export function targetsOf(addresses: Addresses): () => Targets {
  const { directUrl, connection, env } = addresses;
  if (!isFromEnvironment(addresses)) {
    const targets = resolveTargets(addresses);
    return () => targets;
  }
  checkAddress("directUrl", directUrl, undefined);
  if (directUrl !== undefined) parseConnectionUrl(String(directUrl), "directUrl", connection, env);
  let targets: Targets | null = null;
  return () => {
    targets ??= resolveTargets(addresses);
    return targets;
  };
}

/** Null: nobody has said where to connect. */
export function knownTargets(targets: () => Targets): Targets | null {
  try {
    return targets();
  } catch {
    return null;
  }
}

/**
 * Finds the addresses, first in the options, then in the environment. The environment names the application's main
 * database, so it is ignored if the code names another one by `url`, `connection` or `client`.
 */
export function resolveTargets(addresses: Addresses): Targets {
  const { url, directUrl, connection, client, env } = addresses;
  const address = addressOption(connection);
  checkAddress("url", url, address);
  checkAddress("directUrl", directUrl, address);
  const isFromEnv = isFromEnvironment(addresses);
  const [urlName, ownUrl] = isFromEnv ? fromEnv(env, "LEASEHOLD_DATABASE_URL", "DATABASE_URL") : ["url", url];
  const directNames = isFromEnv
    ? directUrlVariables
    : url === undefined && address === undefined
      ? ["LEASEHOLD_DIRECT_URL"]
      : [];
  const [directName, ownDirectUrl] = directUrl === undefined ? fromEnv(env, ...directNames) : ["directUrl", directUrl];
  const parse = (text: unknown, name: string) => parseConnectionUrl(String(text), name, connection, env);

  let target: ConnectionTarget | null = null;
  if (ownUrl !== undefined) target = parse(ownUrl, urlName);
  else if (address !== undefined) target = parse(EMPTY_URL, "connection");
  else if (client === null && libpqVariables.some((name) => env[name])) target = parse(EMPTY_URL, "url");
  else if (client === null) {
    const expected =
      "the address of a database; or set LEASEHOLD_DATABASE_URL or DATABASE_URL in the environment, or PGHOST, PGUSER, PGPASSWORD and PGDATABASE";
    throw new InvalidOptionError({ option: "url", expected, received: undefined });
  }
  return { target, directTarget: ownDirectUrl === undefined ? target : parse(ownDirectUrl, directName) };
}

/** Whether the code names no database itself. */
export function isFromEnvironment({ url, connection, client }: Omit<Addresses, "directUrl" | "env">): boolean {
  return url === undefined && addressOption(connection) === undefined && client === null;
}

/** The option that says where to connect in place of an address. */
function addressOption(connection: ConnectionOptions): keyof ConnectionOptions | undefined {
  return (["host", "port", "path"] as const).find((name) => connection[name] !== undefined);
}

function checkAddress(option: string, value: unknown, other: keyof ConnectionOptions | undefined): void {
  if (value === undefined) return;
  const expected = "the address of a database, postgres://...";
  if (typeof value !== "string" || value === "") throw new InvalidOptionError({ option, expected, received: value });
  if (other === undefined) return;
  const message = `connection.${other}: cannot be set beside ${option}, which says where to connect already`;
  throw new InvalidOptionError({ option: `connection.${other}`, expected: "nothing", received: undefined, message });
}

/** The first of the variables that is set, as [name, value]. */
function fromEnv(env: Environment, ...names: readonly string[]): readonly [name: string, value: string | undefined] {
  const name = names.find((one) => env[one]);
  return name === undefined ? ["", undefined] : [name, env[name]];
}
