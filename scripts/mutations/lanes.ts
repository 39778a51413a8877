import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { TestServer } from "../../test/support/database.js";
import { killGroup } from "./kill-group.js";
import type { Failure, Workshop } from "./workshop.js";

export interface Request {
  readonly files: readonly string[];
  /** Sources that were written since the last request. */
  readonly changed: readonly string[];
}

export interface Answer {
  /** Null: all passed. */
  readonly failure: Failure | null;
  /** Missing as long as no file that needs it has run. */
  readonly server?: TestServer;
}

/** A copy of the project, and a process that runs its tests. */
export interface Place {
  readonly workshop: Workshop;
  readonly lane: Lane;
}

/** Runs test files of a copy of the project, in a process that stays (lane.ts). */
export class Lane {
  readonly #folder: string;
  readonly #database: string;
  #child: ChildProcess | undefined;
  #server: TestServer | undefined;
  readonly #changed: string[] = [];

  /** `folder`: the copy; `database`: the server that all lanes share, as its superuser. */
  constructor(folder: string, database: string) {
    this.#folder = folder;
    this.#database = database;
  }

  /** Where its migrated template is. Undefined until a file has run that needs it: each process makes one of its own. */
  get server(): TestServer | undefined {
    return this.#server;
  }

  /** Runs test files until one test fails. Undefined: it did not end within `patienceMs`, and the process with its template is gone. */
  async run(
    files: readonly string[],
    patienceMs: number,
    changed: readonly string[] = [],
  ): Promise<Failure | null | undefined> {
    this.#child ??= await this.#start();
    const child = this.#child;
    const timer = setTimeout(() => this.kill(), patienceMs);
    const heard = new AbortController();
    child.send({ files, changed: [...this.#changed.splice(0), ...changed] } satisfies Request);
    const answer = await Promise.race([
      once(child, "message", { signal: heard.signal }).then(([message]) => message as Answer),
      once(child, "exit", { signal: heard.signal }).then(() => undefined),
    ]);
    heard.abort();
    clearTimeout(timer);
    if (answer === undefined) this.#child = undefined;
    this.#server = answer?.server;
    return answer === undefined ? undefined : answer.failure;
  }

  /** Says which sources were written meanwhile. */
  note(changed: readonly string[]): void {
    this.#changed.push(...changed);
  }

  /** The next run has a process of its own, with a template made anew. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const timer = setTimeout(() => this.kill(), 20_000);
    child.disconnect();
    await once(child, "exit");
    clearTimeout(timer);
    this.#child = undefined;
    this.#server = undefined;
  }

  async #start(): Promise<ChildProcess> {
    // a group of its own, so that a test that hangs can be ended with all that it started
    const child = spawn(process.execPath, ["--import", "tsx", "scripts/mutations/lane.ts"], {
      cwd: this.#folder,
      env: { ...process.env, TEST_DATABASE_URL: this.#database },
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      detached: true,
    });
    const exit = once(child, "exit").then(() => {
      throw new Error("the process that runs the tests ended at once");
    });
    exit.catch(() => {});
    await Promise.race([once(child, "message"), exit]);
    return child;
  }

  /** At once, with what its tests have started. Databases and folders have guardians. */
  kill(): void {
    killGroup(this.#child?.pid);
  }
}
