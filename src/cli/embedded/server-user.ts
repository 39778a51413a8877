import { execFileSync } from "node:child_process";

/** As whom the server runs, in the words of `spawn`. Empty: as ourselves. */
export interface ServerUser {
  readonly uid?: number;
  readonly gid?: number;
}

/** Postgres refuses to run as root: then an unprivileged user that the system has already takes its place. */
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

/** Ours without what would steer Postgres, and with English messages. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG|DATABASE_URL|LEASEHOLD_)/.test(name));
  return { ...Object.fromEntries(kept), LC_ALL: "C" };
}
