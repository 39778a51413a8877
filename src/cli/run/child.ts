import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { sleep } from "../../runtime/clock.js";
import { CANNOT_START, NOT_FOUND, signalCode } from "../exit-codes.js";
import { startGuardian } from "./guardian.js";
import { familyOf, groupOf, type Members } from "./members.js";
import { hasTerminal } from "./terminal.js";

export interface ChildOptions {
  readonly command: readonly [program: string, ...args: string[]];
  readonly env: NodeJS.ProcessEnv;
  readonly graceMs: number;
}

/** The command could not be started. */
export class StartError extends Error {
  readonly exitCode: number;

  constructor(program: string, cause: NodeJS.ErrnoException) {
    const isMissing = cause.code === "ENOENT";
    super(`${program}: ${isMissing ? "command not found" : `cannot be started (${cause.code ?? cause.message})`}`, {
      cause,
    });
    this.exitCode = isMissing ? NOT_FOUND : CANNOT_START;
  }
}

const POLL_MS = 50;
const KILL_MS = 1_000;

/**
 * The command under the lock.
 *
 * Without a terminal (cron, a service, a container) it gets a session and so a process group of its own: signals go to the whole
 * group. On a terminal that would take the terminal from it, so it stays in our group, as under flock(1): what the terminal sends
 * (Ctrl-C, Ctrl-\, Ctrl-Z, a new size) reaches it without us; and since that group may hold more than the command, such as the
 * other end of a pipe, or the script or npm that we were called from, the command is ended by its place in the table of processes.
 */
export class Child {
  readonly #process: ChildProcess;
  readonly #isGroup: boolean;
  readonly #graceMs: number;
  /** The exit code; as shells tell it when a signal ended it. */
  readonly exited: Promise<number>;

  private constructor(child: ChildProcess, isGroup: boolean, graceMs: number) {
    this.#process = child;
    this.#isGroup = isGroup;
    this.#graceMs = graceMs;
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve(code ?? signalCode(constants.signals[signal ?? "SIGKILL"])));
    });
  }

  /** @throws StartError */
  static async start({ command: [program, ...args], env, graceMs }: ChildOptions): Promise<Child> {
    const isGroup = !hasTerminal() && process.platform !== "win32";
    const guardian = startGuardian(graceMs);
    let started: ChildProcess;
    try {
      started = spawn(program, args, { env, stdio: "inherit", detached: isGroup });
    } catch (error) {
      guardian.release();
      throw new StartError(program, error as Error); // Node throws most errors, and emits the others
    }
    // Who is killed right here, within a millisecond of the start, leaves the command to itself.
    if (started.pid !== undefined) guardian.watch(isGroup ? -started.pid : started.pid);
    const child = new Child(started, isGroup, graceMs);
    void child.exited.then(() => guardian.release());
    await new Promise<void>((resolve, reject) => {
      started.once("spawn", resolve);
      started.once("error", (error) => {
        guardian.release();
        reject(new StartError(program, error));
      });
    });
    return child;
  }

  /** Whether a terminal sends this signal to the command by itself. */
  hears(signal: NodeJS.Signals): boolean {
    return !this.#isGroup && (signal === "SIGINT" || signal === "SIGQUIT" || signal === "SIGWINCH");
  }

  /** To all of the group; on a terminal to the command alone. */
  signal(signal: NodeJS.Signals): void {
    if (this.#isGroup) groupOf(this.#process.pid ?? 0).send(signal);
    else this.#process.kill(signal);
  }

  /** SIGTERM, then SIGKILL after the grace, to the command and all that it has started. Resolves when nothing of it is left. */
  async end(): Promise<void> {
    const pid = this.#process.pid ?? 0;
    const members = this.#isGroup ? groupOf(pid) : await familyOf(pid);
    members.send("SIGTERM");
    members.send("SIGCONT"); // what is stopped hears no SIGTERM
    if (await areLeftAfter(members, this.#graceMs)) {
      members.send("SIGKILL");
      // Not for ever: where nobody collects orphans, as in a container without an init, one that is dead still counts.
      await areLeftAfter(members, KILL_MS);
    }
    await this.exited;
  }
}

async function areLeftAfter(members: Members, ms: number): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (await members.areLeft()) {
    if (performance.now() >= deadline) return true;
    await sleep(POLL_MS, { keepsAlive: true });
  }
  return false;
}
