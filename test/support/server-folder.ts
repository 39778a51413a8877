// The folders that servers run in, and the template that they are copied from: initdb takes 0.5 s, a copy 0.06 s.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { access, constants, mkdtemp, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Guardian, guard } from "./guardian.js";
import {
  embeddedBinaries,
  giveToServer,
  majorVersion,
  type ServerBinaries,
  serverEnvironment,
  serverUser,
} from "./server-binaries.js";

const run = promisify(execFile);

// A server that was killed leaves the small System V segment by which another one notices that its data are in use.
const removeSegment = `
segment=$(sed -n '7s/.* //p' "$1/data/postmaster.pid" 2>/dev/null)
[ -z "$segment" ] || ipcrm -m "$segment" 2>/dev/null`;

// SIGQUIT is an immediate stop. What was made to stand still must be able to hear it.
const cleanUp = `
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
  kill -QUIT "$pid"; kill -CONT "$pid"
  n=0; while kill -0 "$pid" && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
fi 2>/dev/null
${removeSegment}
umount "$1" 2>/dev/null
rm -rf "$1"`;

const placeVariable = "LEASEHOLD_TEST_SERVERS_IN"; // for the processes that this one starts
const memory = "/dev/shm";
/** Several times what a run of all tests takes at most. */
const ENOUGH_BYTES = 4 * 2 ** 30;

/**
 * From now on this process, and those that it starts, make the folders of servers in memory, where that has room: to make and to remove the
 * files of hundreds of databases takes a tenth of all the processor time of a run on a disk. Not for measurements.
 */
export async function keepServersInMemory(): Promise<void> {
  if (await hasRoom(memory)) process.env[placeVariable] = memory;
}

async function hasRoom(folder: string): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(folder);
    await access(folder, constants.W_OK);
    return Math.min(bavail * bsize, process.availableMemory()) >= ENOUGH_BYTES;
  } catch {
    return false; // there is none on other systems than Linux
  }
}

export interface FolderOptions {
  /** It is a disk of its own of so many MB. Needs the right to mount. */
  readonly diskMb?: number | undefined;
}

/** A temporary folder that the server's user owns. It goes, and the server in it, when this process ends in any way. */
export class ServerFolder {
  readonly path: string;
  readonly #guardian: Guardian;
  #isMounted = false;

  constructor(path: string) {
    this.path = path;
    this.#guardian = guard(cleanUp, path);
  }

  static async make({ diskMb }: FolderOptions = {}): Promise<ServerFolder> {
    const folder = new ServerFolder(await mkdtemp(join(process.env[placeVariable] ?? tmpdir(), "leasehold-postgres-")));
    if (diskMb !== undefined) {
      await run("mount", ["-t", "tmpfs", "-o", `size=${diskMb}m,mode=0700`, "leasehold-test", folder.path]);
      folder.#isMounted = true;
    }
    await giveToServer(folder.path);
    return folder;
  }

  /** Once its server has ended. */
  async remove(): Promise<void> {
    await run("sh", ["-c", `${removeSegment}\ntrue`, "remove", this.path]);
    if (this.#isMounted) await run("umount", [this.path]);
    await rm(this.path, { recursive: true, force: true, maxRetries: 5 });
    this.#guardian.release();
  }
}

/** Makes a new data folder, with a password for its superuser beside it. */
export async function initialise(binaries: ServerBinaries, folder: string): Promise<void> {
  const passwordFile = join(folder, "password");
  await writeFile(passwordFile, randomBytes(12).toString("hex"), { mode: 0o600 });
  await giveToServer(passwordFile);
  const major = await majorVersion(binaries);
  await run(
    binaries.initdb,
    [
      ...["-D", join(folder, "data"), "-U", "postgres", "--auth=scram-sha-256", `--pwfile=${passwordFile}`],
      ...["--encoding=UTF8", "--locale=C", "--no-sync"],
      // a linguistic order, so that a place that forgets collate "C" is found out; 14 cannot have one by ICU
      ...(major >= 15 ? ["--locale-provider=icu", "--icu-locale=en-US"] : []),
      ...cheapPasswords(major),
    ],
    { ...serverUser(), env: serverEnvironment(), cwd: folder },
  );
}

/** Who connects derives its password's key, by default in 4,096 rounds: a millisecond of each of the connections, of which a run makes 20,000. */
function cheapPasswords(major: number): readonly string[] {
  return major >= 16 ? ["--set=scram_iterations=1"] : [];
}

const templateVariable = "LEASEHOLD_TEST_CLUSTER_TEMPLATE";
let template: Promise<ServerFolder> | undefined;

/** Made once in a run: what `prepareTemplate` made in the parent process, or else here, when first needed. */
export async function copyTemplate(folder: string): Promise<void> {
  const from = process.env[templateVariable] ?? (await prepareTemplate());
  await run("cp", ["-Rp", join(from, "data"), join(from, "password"), folder], { ...serverUser(), cwd: folder });
}

/** Makes the template of all clusters of this process and of those that it starts. */
export async function prepareTemplate(): Promise<string> {
  template ??= (async () => {
    const folder = await ServerFolder.make();
    await initialise(await embeddedBinaries(), folder.path);
    return folder;
  })();
  const { path } = await template;
  process.env[templateVariable] = path;
  return path;
}

export async function removeTemplate(): Promise<void> {
  delete process.env[templateVariable];
  await (await template)?.remove();
  template = undefined;
}
