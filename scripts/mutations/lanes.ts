import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { TestServer } from "../../test/support/database.js";
import type { Failure } from "./workshop.js";

export interface Request {
  readonly files: readonly string[];
}

export interface Answer {
  /** Null: all passed. */
  readonly failure: Failure | null;
  /** Undefined as long as no file has run. */
  readonly server?: TestServer;
}

/** Runs test files of a copy of the project, in a process that stays (lane.ts). */
export class Lane {
  readonly #folder: string;
  readonly #database: string;
  #child: ChildProcess | undefined;
  #server: TestServer | undefined;

  /** `folder`: the copy; `database`: the server that all lanes share, as its superuser. */
  constructor(folder: string, database: string) {
    this.#folder = folder;
    this.#database = database;
  }

  /** Where its migrated template is. Undefined until a file has run: each process makes one of its own. */
  get server(): TestServer | undefined {
    return this.#server;
  }

  /** Runs test files until one test fails. Undefined: it did not end within `patienceMs`, and the process with its template is gone. */
  async run(files: readonly string[], patienceMs: number): Promise<Failure | null | undefined> {
    this.#child ??= await this.#start();
    const child = this.#child;
    const timer = setTimeout(() => this.kill(), patienceMs);
    child.send({ files } satisfies Request);
    const answer = await Promise.race([
      once(child, "message").then(([message]) => message as Answer),
      once(child, "exit").then(() => undefined),
    ]);
    clearTimeout(timer);
    if (answer === undefined) {
      this.#child = undefined;
      this.#server = undefined;
      return undefined;
    }
    this.#server = answer.server;
    return answer.failure;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const timer = setTimeout(() => this.kill(), 20_000);
    child.disconnect();
    await once(child, "exit");
    clearTimeout(timer);
    this.#child = undefined;
  }

  async #start(): Promise<ChildProcess> {
    // a group of its own, so that a test that hangs can be ended with all that it started
    const child = spawn(process.execPath, ["--import", "tsx", "scripts/mutations/lane.ts"], {
      cwd: this.#folder,
      env: { ...process.env, TEST_DATABASE_URL: this.#database },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      detached: true,
    });
    await once(child, "message");
    return child;
  }

  /** At once, with what its tests have started. Databases and folders have guardians. */
  kill(): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // it has just ended by itself
    }
  }
}
