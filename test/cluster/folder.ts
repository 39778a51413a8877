// The temporary folder of a cluster. Whatever runs below it ends with it, by whomever it was started: Patroni starts Postgres, and
// Postgres its backends, each in a process group of its own. What they have in common is their working directory.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdirSync, openSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Guardian, guard } from "../support/guardian.js";
import { closed, opened } from "../support/resources.js";
import { serverEnvironment, serverUser } from "../support/server-binaries.js";

// In rounds, for what is killed may have started another one.
const cleanUp = `
for round in 1 2 3 4 5 6 7 8 9 10; do
  found=
  for link in /proc/[0-9]*/cwd; do
    case "$(readlink "$link" 2>/dev/null)" in
      "$1"|"$1"/*|"$1 (deleted)") pid=\${link#/proc/}; kill -KILL "\${pid%/cwd}" 2>/dev/null; found=1 ;;
    esac
  done
  [ -z "$found" ] && break
  sleep 0.2
done
rm -rf "$1"`;

export class ClusterFolder implements AsyncDisposable {
  readonly path: string;
  readonly name: string;
  readonly #guardian: Guardian;

  private constructor(path: string) {
    this.path = path;
    this.name = `cluster in ${path}`;
    this.#guardian = guard(cleanUp, path);
    own(path);
    opened(this);
  }

  static async make(): Promise<ClusterFolder> {
    return new ClusterFolder(await mkdtemp(join(tmpdir(), "leasehold-cluster-")));
  }

  /** A folder in it, which the servers' user owns. */
  folder(name: string): string {
    const path = join(this.path, name);
    mkdirSync(path, { mode: 0o700 });
    own(path);
    return path;
  }

  /** A file in it, which the servers' user owns and nobody else may read. */
  file(name: string, text: string): string {
    const path = join(this.path, name);
    writeFileSync(path, text, { mode: 0o600 });
    own(path);
    return path;
  }

  /** Starts a program as the servers' user, with `cwd` below this folder. What it says goes to the file `log`. */
  start(program: string, args: readonly string[], cwd: string, log: string): ChildProcess {
    const output = openSync(join(this.path, log), "a");
    const child = spawn(program, args, {
      ...serverUser(),
      cwd,
      env: { ...serverEnvironment(), HOME: this.path },
      stdio: ["ignore", output, output],
      detached: true, // Ctrl-C is for the command, which then ends all
    });
    child.on("error", () => {}); // its exit is seen by who waits for it
    return child;
  }

  /** Ends all that runs in it, and removes it. */
  async dispose(): Promise<void> {
    await killAll(this.path);
    await rm(this.path, { recursive: true, force: true, maxRetries: 5 });
    this.#guardian.release();
    closed(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/** The processes whose working directory is this folder, or one below it. */
export function processesIn(folder: string, { below = true }: { readonly below?: boolean } = {}): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const cwd = cwdOf(pid)?.replace(/ \(deleted\)$/, "");
      return cwd === folder || (below && cwd?.startsWith(`${folder}/`) === true);
    });
}

/** Sends a signal to each; one that has ended meanwhile has no need of it. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // it has ended
    }
  }
}

/** Kills all that runs in the folder, frozen or not, until nothing does. */
export async function killAll(folder: string): Promise<void> {
  for (let round = 0; round < 100; round += 1) {
    const pids = processesIn(folder);
    if (pids.length === 0) return;
    signalAll(pids, "SIGKILL");
    await sleep(50);
  }
  throw new Error(`these do not end: ${processesIn(folder).join(", ")}`);
}

export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

function cwdOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

function own(path: string): void {
  const { uid, gid } = serverUser();
  if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
}
