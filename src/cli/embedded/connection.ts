import { parseConnectionUrl } from "../../config/connection-url.js";
import { connect, HostList, ownSettings } from "../../postgres/connection/connect.js";
import type { Link } from "../../postgres/connection/link.js";
import { type Folder, readPassword } from "./folder.js";
import type { Running } from "./running.js";

const CONNECT_MS = 5_000;

/** The application name of a connection that keeps an embedded server running. The keeper's own connection has another name. */
export const USE = "leasehold embedded";
export const KEEPER = "leasehold keeper";

/** It has no TLS, whatever PGSSLMODE demands of other servers. */
export async function addressOf(folder: Folder, { port }: Running): Promise<string> {
  return `postgres://postgres:${await readPassword(folder)}@127.0.0.1:${port}/postgres?sslmode=disable`;
}

/** Nothing in the environment changes it. */
export async function connectTo(url: string, applicationName: string): Promise<Link> {
  const hosts = new HostList(parseConnectionUrl(url, "--embedded", {}, {}));
  const { link } = await connect({
    hosts,
    applicationName,
    connectTimeoutMs: CONNECT_MS,
    prepare: false,
    settings: ownSettings,
    acceptsMissing: true, // it calls nothing of the schemas
    signal: null,
  });
  return link;
}
