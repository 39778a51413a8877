import { UnsupportedError } from "../../errors/errors.js";

/** The oldest major version that is tested. 13 fails in the middle of a migration: it does not know the syntax of SQL functions with `return`. */
export const OLDEST_MAJOR = 14;

/** The number that `server_version_num` has for it. */
export const OLDEST_NUMBER: number = OLDEST_MAJOR * 10_000;

/** Takes what `server_version` says, such as "13.23 (Debian 13.23-1)" or "9.6.24". @throws UnsupportedError */
export function refuseOldServer(version: string): void {
  if (Number.parseInt(version, 10) >= OLDEST_MAJOR) return;
  throw new UnsupportedError({
    message: `This server is Postgres ${version}: Leasehold needs Postgres ${OLDEST_MAJOR} or newer. Nothing was done. Upgrade the server.`,
  });
}
