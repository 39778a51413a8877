import { sleep } from "../../runtime/clock.js";
import { CANNOT_START, NOT_FOUND } from "../exit-codes.js";
import { startGuardian } from "./guardian.js";
import { familyOf, groupOf, type Members, send } from "./members.js";
import { startObserved } from "./observed-process.js";
import { type Started, startProcess } from "./process.js";
import { hasTerminal } from "./terminal.js";

export interface ChildOptions {
  readonly command: readonly [program: string, ...args: string[]];
  readonly env: NodeJS.ProcessEnv;
  readonly graceMs: number;
}

/** Thrown when the command could not be started. */
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
 * Without a terminal (cron, a service, a container) it gets a session, and so a process group, of its own. Signals go to the whole group.
 *
 * On a terminal, a session of its own would cut it off from the terminal. So it stays in our group, as under flock(1), and what the terminal
 * sends (Ctrl-C, Ctrl-\, Ctrl-Z, a new size) reaches it without us. That group may contain other processes, such as the other end of a
 * pipe, or the script or npm that started us. So the processes of the command are found in the process table when it has to be ended.
 */
export class Child {
  readonly #pid: number;
  readonly #isGroup: boolean;
  readonly #graceMs: number;
  /** The exit code. If a signal ended the command: what a shell would report. */
  readonly exited: Promise<number>;

  private constructor({ pid, exited }: Started, isGroup: boolean, graceMs: number) {
    this.#pid = pid;
    this.#isGroup = isGroup;
    this.#graceMs = graceMs;
    this.exited = exited;
  }

  /** @throws StartError */
  static async start({ command: [program, ...args], env, graceMs }: ChildOptions): Promise<Child> {
    const isGroup = !hasTerminal() && process.platform !== "win32";
    const guardian = startGuardian(graceMs);
    let started: Started;
    try {
      const options = { program, args, env, isGroup };
      started = (await startObserved(options)) ?? (await startProcess(options));
    } catch (error) {
      guardian.release();
      throw new StartError(program, error as Error);
    }
    // If this process is killed right here, within milliseconds of the start, nothing ends the command.
    guardian.watch(isGroup ? -started.pid : started.pid);
    void started.exited.then(() => guardian.release());
    return new Child(started, isGroup, graceMs);
  }

  /** Whether the terminal itself sends this signal to the command. */
  hears(signal: NodeJS.Signals): boolean {
    return !this.#isGroup && (signal === "SIGINT" || signal === "SIGQUIT" || signal === "SIGWINCH");
  }

  /** Sends a signal to the whole group, or on a terminal to the command alone. */
  signal(signal: NodeJS.Signals): void {
    if (this.#isGroup) groupOf(this.#pid).send(signal);
    else send(this.#pid, signal);
  }

  /** Sends SIGTERM, and SIGKILL after the grace period, to the command and all that it has started. Resolves when all have ended. */
  async end(): Promise<void> {
    const members = this.#isGroup ? groupOf(this.#pid) : await familyOf(this.#pid);
    members.send("SIGTERM");
    members.send("SIGCONT"); // what is stopped hears no SIGTERM
    if (await areLeftAfter(members, this.#graceMs)) {
      members.send("SIGKILL");
      // Do not wait for ever: where nobody reaps orphans, as in a container without an init, dead processes still count.
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
