/** The version of the schema that this package's migrations create: the largest in `leasehold.schema_version`. */
export const SCHEMA_VERSION = 2;

/** The version of this client. A schema refuses it if the schema's `min_client` is larger. */
export const CLIENT_VERSION = 2;
