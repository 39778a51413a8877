import { InvalidOptionError } from "../errors.js";
import type { ConnectionTarget } from "../postgres/connection-url.js";
import { resolveTargets } from "../resolve-targets.js";
import type { Arguments } from "./arguments.js";
import { NoAddressError, UsageError } from "./usage-error.js";

/** Where the database is, in the options of a locker. */
export interface Place {
  readonly url?: string;
  readonly directUrl?: string;
  /** Gives back what was opened to get there: the use of the embedded Postgres. */
  close(): Promise<void>;
}

/** Finds the database that the command line or the environment names. Throws NoAddressError when neither does. */
export async function findPlace(args: Arguments): Promise<Place> {
  const [url, directUrl] = [args.text("url"), args.text("direct-url")];
  if (args.has("embedded")) {
    if (url !== undefined || directUrl !== undefined)
      throw new UsageError("--embedded has an address of its own: leave out --url and --direct-url");
    const { useEmbedded } = await import("./embedded/use.js");
    return await useEmbedded();
  }
  const place = {
    ...(url === undefined ? {} : { url }),
    ...(directUrl === undefined ? {} : { directUrl }),
    close: async () => undefined,
  };
  directTarget(place);
  return place;
}

/** Where to ask: past the pooler, if there is one and its other side is known. */
export function directTarget({ url, directUrl }: Place): ConnectionTarget {
  try {
    const { directTarget } = resolveTargets({ url, directUrl, connection: {}, sql: null, env: process.env });
    if (directTarget === null) throw new NoAddressError();
    return directTarget;
  } catch (error) {
    const isMissing = error instanceof InvalidOptionError && error.option === "url" && url === undefined;
    throw isMissing && error.received === "undefined" ? new NoAddressError() : error;
  }
}

/** For people: which database that is. Without the password. */
export function describeTarget({ hosts, path, database, user }: ConnectionTarget): string {
  const where = path ?? hosts.map(({ host, port }) => `${host}:${port}`).join(",");
  return `${database} on ${where} as ${user}`;
}
