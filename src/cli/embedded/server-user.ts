import { execFileSync } from "node:child_process";

/** The user that the server runs as, as options of `spawn`. Empty: our own user. */
export interface ServerUser {
  readonly uid?: number;
  readonly gid?: number;
}

/** Postgres refuses to run as root. Then it runs as an unprivileged user that the system already has. */
export function serverUser(): ServerUser {
  if (process.getuid?.() !== 0) return {};
  return idsOf("postgres") ?? idsOf("nobody") ?? { uid: 65_534, gid: 65_534 };
}

function idsOf(name: string): ServerUser | null {
  const id = (flag: string) => Number(execFileSync("id", [flag, name], { stdio: ["ignore", "pipe", "ignore"] }));
  try {
    return { uid: id("-u"), gid: id("-g") };
  } catch {
    return null;
  }
}

/** Our environment, without the variables that would change what Postgres does, and with English messages. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG|DATABASE_URL|LEASEHOLD_)/.test(name));
  return { ...Object.fromEntries(kept), LC_ALL: "C" };
}
