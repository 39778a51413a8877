import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, chown, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { FoundBinaries } from "./binaries.js";
import { type ServerUser, serverEnvironment } from "./server-user.js";

/** What the embedded Postgres keeps: data, password, log. One per user of this machine and major version. */
export interface Folder {
  readonly path: string;
  readonly data: string;
  readonly log: string;
}

/** The folder of everything. For root it is where services keep their data, because the server's user cannot enter the home of root. */
export function stateFolder(env: NodeJS.ProcessEnv = process.env): string {
  const { XDG_STATE_HOME, LOCALAPPDATA } = env;
  if (XDG_STATE_HOME) return join(XDG_STATE_HOME, "leasehold");
  if (process.platform === "win32") return join(LOCALAPPDATA ?? homedir(), "leasehold");
  return process.getuid?.() === 0 ? "/var/lib/leasehold" : join(homedir(), ".local", "state", "leasehold");
}

/** The data folder, made now if there is none. Safe when several processes do it at once: the first one's is kept. */
export async function ensureFolder(state: string, binaries: FoundBinaries, user: ServerUser): Promise<Folder> {
  const path = join(state, `postgres-${binaries.major}`);
  const folder = { path, data: join(path, "data"), log: join(path, "log") };
  const isThere = await stat(folder.data).catch(() => null);
  if (isThere !== null) return folder;
  const making = await mkdtemp(`${path}.`);
  try {
    await initialise(making, binaries, user);
    await rename(making, path);
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
  }
  return folder;
}

/** The folder of everything. Others on this machine may enter it but not list it: under root the server's user has to enter it. */
export async function ensureStateFolder(): Promise<string> {
  const state = stateFolder();
  await mkdir(state, { recursive: true, mode: 0o711 });
  return state;
}

export async function readPassword({ path }: Folder): Promise<string> {
  return (await readFile(join(path, "password"), "utf8")).trim();
}

async function initialise(folder: string, { initdb }: FoundBinaries, user: ServerUser): Promise<void> {
  const password = join(folder, "password");
  await writeFile(password, randomBytes(18).toString("base64url"), { mode: 0o600 });
  await chmod(folder, 0o700);
  if (user.uid !== undefined && user.gid !== undefined) {
    await chown(password, user.uid, user.gid);
    await chown(folder, user.uid, user.gid);
  }
  const args = ["-D", join(folder, "data"), "-U", "postgres", "--auth=scram-sha-256", `--pwfile=${password}`];
  const how = { ...user, env: serverEnvironment(), cwd: "/" };
  try {
    await promisify(execFile)(initdb, [...args, "--encoding=UTF8", "--locale=C"], how);
  } catch (cause) {
    const { stderr = "" } = cause as { stderr?: string };
    const advice =
      user.uid === undefined
        ? ""
        : ` As root it runs as the user with the id ${user.uid}, who must be able to get to ${folder}: set XDG_STATE_HOME to a folder that everybody may enter.`;
    throw new Error(`The data of the embedded Postgres could not be made (${stderr.trim()}).${advice}`, { cause });
  }
}
