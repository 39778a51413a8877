import type { ConnectionOptions } from "../api/connection-options.js";
import type { ConnectionTarget } from "../config/connection-url.js";
import { resolveTargets } from "../config/resolve-targets.js";
import { InvalidOptionError } from "../errors/errors.js";
import type { Arguments } from "./arguments.js";
import { selectInstance, selectInstances } from "./instances.js";
import { NoAddressError, UsageError } from "./usage-error.js";

/** The address of the database, as options of a locker. */
export interface Address {
  /** The name of the instance; null where there is one database without a name. */
  readonly instance: string | null;
  readonly url?: string | undefined;
  readonly directUrl?: string | undefined;
  readonly connection?: ConnectionOptions | undefined;
  /** Releases what was opened to reach it: the embedded Postgres may stop then. */
  close(): Promise<void>;
}

/**
 * Finds the database that the command line or the environment names; of several instances the one that the key belongs to. Throws
 * NoAddressError when they name none, UsageError when it cannot be told which instance is meant.
 */
export async function findAddress(args: Arguments, key?: string): Promise<Address> {
  const instance = selectInstance(args, key);
  if (instance !== null) return addressOf(instance);
  const [url, directUrl] = [args.text("url"), args.text("direct-url")];
  if (args.has("embedded")) {
    if (url !== undefined || directUrl !== undefined)
      throw new UsageError("--embedded has an address of its own: leave out --url and --direct-url");
    const { useEmbedded } = await import("./embedded/use.js");
    return { ...(await useEmbedded()), instance: null };
  }
  return addressOf({ instance: null, url, directUrl });
}

/** The addresses of all instances that the command is for; the one database where there are none. */
export async function findAddresses(args: Arguments): Promise<readonly Address[]> {
  const instances = selectInstances(args);
  return instances === null ? [await findAddress(args)] : instances.map(addressOf);
}

function addressOf(address: Omit<Address, "close">): Address {
  directTarget(address);
  return { ...address, close: async () => undefined };
}

/** The address for queries: the direct one, if there is a pooler and the direct address is known. */
export function directTarget({ url, directUrl, connection = {} }: Omit<Address, "close">): ConnectionTarget {
  try {
    const { directTarget } = resolveTargets({ url, directUrl, connection, client: null, env: process.env });
    if (directTarget === null) throw new NoAddressError();
    return directTarget;
  } catch (error) {
    const isMissing = error instanceof InvalidOptionError && error.option === "url" && url === undefined;
    throw isMissing && error.received === "undefined" ? new NoAddressError() : error;
  }
}

/** A description for people, without the password. */
export function describeTarget({ hosts, path, database, user }: ConnectionTarget): string {
  const where = path ?? hosts.map(({ host, port }) => `${host}:${port}`).join(",");
  return `${database} on ${where} as ${user}`;
}
