import { parseConnectionUrl } from "../../src/config/connection-url.js";
import { Link } from "../../src/postgres/connection/link.js";

/** A connection for `migrateDatabase`, as a locker makes it. */
export function connectTo(url: string): () => Link {
  const target = parseConnectionUrl(url, "url");
  return () =>
    new Link({
      target,
      host: target.hosts[0] ?? null,
      applicationName: "leasehold migrate",
      prepare: false,
    });
}
