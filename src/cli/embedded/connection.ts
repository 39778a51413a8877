import { parseConnectionUrl } from "../../config/connection-url.js";
import { connect, HostList, ownSettings } from "../../postgres/connection/connect.js";
import type { Link } from "../../postgres/connection/link.js";
import { type Folder, readPassword } from "./folder.js";
import type { Running } from "./running.js";

const CONNECT_MS = 5_000;

/** What keeps an embedded server running: a connection that is not the keeper's. */
export const USE = "leasehold embedded";
export const KEEPER = "leasehold keeper";

/** It knows no TLS, whatever PGSSLMODE demands of other servers. */
export async function addressOf(folder: Folder, { port }: Running): Promise<string> {
  return `postgres://postgres:${await readPassword(folder)}@127.0.0.1:${port}/postgres?sslmode=disable`;
}

/** Nothing of the environment has a say in it. */
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
