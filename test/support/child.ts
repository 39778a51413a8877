// Real processes for a test to kill and to freeze. Their side is worker.ts.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { nodeArguments } from "./compiled.js";
import { type Guardian, guard } from "./guardian.js";
import { closed, opened } from "./resources.js";
import { noteSignal, noteStderr } from "./uncaught.js";
import type { Answer, FromWorker } from "./worker.js";

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** An error that a worker's command threw: its name, message and own properties (`code`, `reason`, ...). */
export class WorkerError extends Error {
  readonly data: Readonly<Record<string, unknown>>;

  constructor(error: { name: string; message: string; data: Record<string, unknown> }) {
    super(error.message);
    this.name = error.name;
    this.data = error.data;
  }

  get code(): unknown {
    return this.data.code;
  }
}

export interface WorkerOptions {
  readonly env?: Readonly<Record<string, string>>;
}

const root = fileURLToPath(new URL("../../", import.meta.url));

interface Waiter {
  readonly name: string;
  resolve(data: unknown): void;
}

export class WorkerProcess implements AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  readonly exit: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, (answer: Answer) => void>();
  readonly #events: { name: string; data: unknown }[] = [];
  readonly #waiters: Waiter[] = [];
  #stderr = "";
  #requests = 0;
  #isKilled = false;
  #frozen: Guardian | undefined;

  private constructor(child: ChildProcess, name: string) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.name = `worker ${name}, pid ${this.pid}`;
    this.exit = once(child, "close").then(([code, signal]) => {
      this.#frozen?.release();
      closed(this);
      noteStderr(this.name, this.#stderr);
      if (signal && !this.#isKilled) noteSignal(this.name, signal);
      return { code, signal };
    });
    child.on("message", (message) => this.#receive(message as FromWorker));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-20_000);
    });
    child.stdout?.resume();
    opened(this);
  }

  /** Starts `file` (a URL, or a path from the project's root), which calls `serve` of worker.ts, and waits for that. */
  static async start(file: URL | string, args: unknown = {}, options: WorkerOptions = {}): Promise<WorkerProcess> {
    const path = String(file);
    const child = spawn(process.execPath, nodeArguments(file), {
      cwd: root,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      serialization: "advanced", // bigint and Date arrive as what they are
    });
    if (child.pid === undefined) throw (await once(child, "error"))[0];
    const worker = new WorkerProcess(child, path.slice(path.lastIndexOf("/") + 1));
    try {
      worker.send({ start: args });
      await worker.next("ready", { timeoutMs: 60_000 });
      return worker;
    } catch (error) {
      await worker.dispose();
      throw error;
    }
  }

  /** What it has written to stderr lately. */
  get stderr(): string {
    return this.#stderr;
  }

  send(message: unknown): void {
    this.#child.send(message as Record<string, unknown>, () => {}); // a worker that is gone is seen by its exit
  }

  /** Runs a command of the worker: its result, or a WorkerError. */
  async request<T = unknown>(command: string, args?: unknown, { timeoutMs = 60_000 } = {}): Promise<T> {
    const id = ++this.#requests;
    const answer = new Promise<Answer>((resolve) => this.#answers.set(id, resolve));
    this.send({ id, command, args });
    try {
      const { result, error } = await this.#within(answer, timeoutMs, `the answer to ${command}`);
      if (error) throw new WorkerError(error);
      return result as T;
    } finally {
      this.#answers.delete(id);
    }
  }

  /** The oldest event of this name that was not taken yet, or else the next one. */
  async next<T = unknown>(name: string, { timeoutMs = 60_000 } = {}): Promise<T> {
    const index = this.#events.findIndex((event) => event.name === name);
    const [event] = index < 0 ? [] : this.#events.splice(index, 1);
    if (event) return event.data as T;
    let waiter: Waiter | undefined;
    const data = new Promise<unknown>((resolve) => {
      waiter = { name, resolve };
      this.#waiters.push(waiter);
    });
    try {
      return (await this.#within(data, timeoutMs, `the event ${name}`)) as T;
    } finally {
      if (waiter && this.#waiters.includes(waiter)) this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
    }
  }

  kill(signal: NodeJS.Signals = "SIGKILL"): Promise<Exit> {
    this.#isKilled = true;
    this.#child.kill(signal);
    return this.exit;
  }

  /** Freezes it (SIGSTOP). */
  stop(): void {
    // frozen, it could not see that its parent dies
    this.#frozen ??= guard('kill -KILL "$1"', String(this.pid));
    this.#child.kill("SIGSTOP");
  }

  /** Lets it go on (SIGCONT). */
  cont(): void {
    this.#child.kill("SIGCONT");
    this.#frozen?.release();
    this.#frozen = undefined;
  }

  /** Kills it if it still runs. */
  async dispose(): Promise<void> {
    await this.kill();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #receive(message: FromWorker): void {
    if ("answer" in message) {
      this.#answers.get(message.answer)?.(message);
      return;
    }
    const index = this.#waiters.findIndex((waiter) => waiter.name === message.event);
    const [waiter] = index < 0 ? [] : this.#waiters.splice(index, 1);
    if (waiter) waiter.resolve(message.data);
    else this.#events.push({ name: message.event, data: message.data });
  }

  #within<T>(what: Promise<T>, timeoutMs: number, name: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${this.name}: ${why} before ${name}\n${this.#stderr}`));
      const timer = setTimeout(() => fail(`${timeoutMs} ms went by`), timeoutMs);
      void this.exit.then(({ code, signal }) => {
        clearTimeout(timer);
        fail(`ended (${signal ?? code})`);
      });
      void what.then((value) => {
        clearTimeout(timer);
        resolve(value);
      });
    });
  }
}

export function startWorker(file: URL | string, args?: unknown, options?: WorkerOptions): Promise<WorkerProcess> {
  return WorkerProcess.start(file, args, options);
}
