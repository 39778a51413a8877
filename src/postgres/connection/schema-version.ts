/** The version of the schema that this package's migrations lead to: the largest in `leasehold.schema_version`. */
export const SCHEMA_VERSION = 2;

/** What this package's client can talk to: a schema refuses it when the schema's `min_client` is larger. */
export const CLIENT_VERSION = 2;
