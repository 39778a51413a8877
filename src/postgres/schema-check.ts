import { NotMigratedError, UnsupportedError } from "../errors.js";
import type { Row } from "./link.js";
import { CLIENT_VERSION, SCHEMA_VERSION } from "./schema-version.js";

/** Takes the rows of schema_info. A newer schema is fine as long as it says that this client can live with it. */
export function checkSchema(rows: readonly Row[]): void {
  const version = rows[0] === undefined ? null : Number(rows[0].version);
  if (version === null || version < SCHEMA_VERSION) {
    throw new NotMigratedError({ found: version, needed: SCHEMA_VERSION });
  }
  const minClient = Number(rows[0]?.minclient);
  if (minClient > CLIENT_VERSION) {
    throw new UnsupportedError({
      message: `The schema leasehold of this database has version ${version} and needs a client of version ${minClient}; this one has ${CLIENT_VERSION}. Upgrade the package leasehold.`,
    });
  }
}
