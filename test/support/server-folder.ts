// The folders that servers run in, and the template that they are copied from: initdb takes 0.5 s, a copy 0.06 s.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Guardian, guard } from "./guardian.js";
import {
  embeddedBinaries,
  majorVersion,
  type ServerBinaries,
  serverEnvironment,
  serverUser,
} from "./server-binaries.js";

const run = promisify(execFile);

// SIGQUIT is an immediate stop. What was made to stand still must be able to hear it.
const cleanUp = `
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
  kill -QUIT "$pid"; kill -CONT "$pid"
  n=0; while kill -0 "$pid" && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
fi 2>/dev/null
umount "$1" 2>/dev/null
rm -rf "$1"`;

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
    const folder = new ServerFolder(await mkdtemp(join(tmpdir(), "leasehold-postgres-")));
    if (diskMb !== undefined) {
      await run("mount", ["-t", "tmpfs", "-o", `size=${diskMb}m,mode=0700`, "leasehold-test", folder.path]);
      folder.#isMounted = true;
    }
    const { uid, gid } = serverUser();
    if (uid !== undefined && gid !== undefined) await chown(folder.path, uid, gid);
    return folder;
  }

  async remove(): Promise<void> {
    if (this.#isMounted) await run("umount", [this.path]);
    await rm(this.path, { recursive: true, force: true, maxRetries: 5 });
    this.#guardian.release();
  }
}

/** Makes a new data folder, with a password for its superuser beside it. */
export async function initialise(binaries: ServerBinaries, folder: string): Promise<void> {
  const passwordFile = join(folder, "password");
  await writeFile(passwordFile, randomBytes(12).toString("hex"), { mode: 0o600 });
  const { uid, gid } = serverUser();
  if (uid !== undefined && gid !== undefined) await chown(passwordFile, uid, gid);
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
