import { NotMigratedError, UnsupportedError } from "../../errors/errors.js";
import type { Row } from "./link.js";
import { CLIENT_VERSION, SCHEMA_VERSION } from "./schema-version.js";

export const SCHEMA_INFO = "select version, min_client as minclient from leasehold_internal.schema_info()";

/** Takes the rows of SCHEMA_INFO. A newer schema is accepted if it says that this client can work with it. */
export function checkSchema(rows: readonly Row[]): void {
  if (rows[0] === undefined) {
    throw rowsMissing();
  }
  const version = Number(rows[0].version);
  if (version < SCHEMA_VERSION) {
    throw new NotMigratedError({ found: version, needed: SCHEMA_VERSION });
  }
  const minClient = Number(rows[0].minclient);
  if (minClient > CLIENT_VERSION) {
    throw new UnsupportedError({
      message: `The schema leasehold of this database has version ${version} and needs a client of version ${minClient}; this one has ${CLIENT_VERSION}. Upgrade the package leasehold.`,
    });
  }
}

/** The functions are there, but the rows that they read are not. */
export function rowsMissing(cause?: unknown): NotMigratedError {
  return new NotMigratedError({
    found: null,
    needed: SCHEMA_VERSION,
    message:
      "The schema leasehold was restored without its data: rows that it needs are missing. Run `await locker.migrate()` once, as its owner: it puts them back.",
    cause,
  });
}
