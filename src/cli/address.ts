import type { ConnectionTarget } from "../config/connection-url.js";
import { resolveTargets } from "../config/resolve-targets.js";
import { InvalidOptionError } from "../errors/errors.js";
import type { Arguments } from "./arguments.js";
import { NoAddressError, UsageError } from "./usage-error.js";

/** The address of the database, as options of a locker. */
export interface Address {
  readonly url?: string;
  readonly directUrl?: string;
  /** Releases what was opened to reach it: the embedded Postgres may stop then. */
  close(): Promise<void>;
}

/** Finds the database that the command line or the environment names. Throws NoAddressError when neither does. */
export async function findAddress(args: Arguments): Promise<Address> {
  const [url, directUrl] = [args.text("url"), args.text("direct-url")];
  if (args.has("embedded")) {
    if (url !== undefined || directUrl !== undefined)
      throw new UsageError("--embedded has an address of its own: leave out --url and --direct-url");
    const { useEmbedded } = await import("./embedded/use.js");
    return await useEmbedded();
  }
  const address = {
    ...(url === undefined ? {} : { url }),
    ...(directUrl === undefined ? {} : { directUrl }),
    close: async () => undefined,
  };
  directTarget(address);
  return address;
}

/** The address for queries: the direct one, if there is a pooler and the direct address is known. */
export function directTarget({ url, directUrl }: Address): ConnectionTarget {
  try {
    const { directTarget } = resolveTargets({ url, directUrl, connection: {}, client: null, env: process.env });
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
