// The processes that take locks, as the nemesis sees them: each with a proxy of its own between it and the server.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type WorkerOptions, WorkerProcess } from "../support/child.js";
import { type Guardian, guard } from "../support/guardian.js";
import type { PostgresProxy } from "../support/proxy.js";
import { closed, opened } from "../support/resources.js";
import type { Command } from "./clients/commands.js";
import type { Journal } from "./journal.js";

export type Kind = "node" | "python" | "psql";

export interface Actor {
  readonly name: string;
  readonly proxy: PostgresProxy;
  readonly kind: Kind;
  /** Whether it runs. */
  readonly isAlive: boolean;
  kill(): Promise<void>;
  freeze(): void;
  resume(): void;
  /** Blocks its event loop; what is no Node process stands still. */
  block(ms: number): Promise<void>;
  /** It ends what it does and itself; false when it did not within so long, and was killed. */
  finish(withinMs: number): Promise<boolean>;
}

/** Written down however it ends. */
function noteExit(journal: Journal, name: string, code: number | null, signal: string | null, isWanted: boolean): void {
  journal.write({ e: "exit", of: name, code, signal, isWanted });
}

export class NodeActor implements Actor {
  readonly kind = "node";
  readonly name: string;
  readonly proxy: PostgresProxy;
  readonly #process: WorkerProcess;
  #isEnding = false;
  isAlive = true;

  private constructor(name: string, proxy: PostgresProxy, process: WorkerProcess, journal: Journal) {
    this.name = name;
    this.proxy = proxy;
    this.#process = process;
    void process.exit.then(({ code, signal }) => {
      this.isAlive = false;
      noteExit(journal, name, code, signal, this.#isEnding);
      const text = process.stderr.trim();
      if (!this.#isEnding && text !== "") console.error(`${name}, which ended: ${text}`);
    });
  }

  static async start(
    name: string,
    proxy: PostgresProxy,
    args: unknown,
    journal: Journal,
    options: WorkerOptions = {},
  ): Promise<NodeActor> {
    return new NodeActor(name, proxy, await WorkerProcess.start("test/campaign/worker.ts", args, options), journal);
  }

  async kill(): Promise<void> {
    this.#isEnding = true;
    await this.#process.kill();
  }

  freeze(): void {
    this.#process.stop();
  }

  resume(): void {
    this.#process.cont();
  }

  async block(ms: number): Promise<void> {
    await this.#process.request("block", ms).catch(() => {}); // it may be killed meanwhile
  }

  async finish(withinMs: number): Promise<boolean> {
    this.resume();
    const isDone = await this.#process.request("finish", undefined, { timeoutMs: withinMs }).then(
      () => true,
      () => false,
    );
    await this.kill();
    return isDone;
  }
}

/** A client in another language: told to finish by a line on its standard input. */
export class OtherActor implements Actor {
  readonly name: string;
  readonly kind: Kind;
  readonly proxy: PostgresProxy;
  readonly #child: ChildProcess;
  readonly #exit: Promise<void>;
  #guardian: Guardian | undefined;
  #isEnding = false;
  isAlive = true;

  constructor(name: string, kind: Kind, proxy: PostgresProxy, command: Command, journal: Journal) {
    this.name = name;
    this.kind = kind;
    this.proxy = proxy;
    const [program, ...args] = command;
    this.#child = spawn(program, args, { stdio: ["pipe", "ignore", "inherit"] });
    this.#child.stdin?.on("error", () => {});
    this.#guardian = guard('kill -KILL "$1"; kill -CONT "$1"', String(this.#child.pid));
    opened(this);
    this.#exit = once(this.#child, "exit").then(([code, signal]) => {
      this.isAlive = false;
      this.#guardian?.release();
      closed(this);
      noteExit(journal, name, code, signal, this.#isEnding);
    });
  }

  async kill(): Promise<void> {
    this.#isEnding = true;
    this.#child.kill("SIGKILL");
    await this.#exit;
  }

  freeze(): void {
    this.#child.kill("SIGSTOP");
  }

  resume(): void {
    this.#child.kill("SIGCONT");
  }

  async block(ms: number): Promise<void> {
    this.freeze();
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.resume();
  }

  async finish(withinMs: number): Promise<boolean> {
    this.#isEnding = true;
    this.resume();
    this.#child.stdin?.end("finish\n");
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), withinMs);
    });
    const isDone = await Promise.race([this.#exit.then(() => true), late]);
    clearTimeout(timer);
    if (!isDone) await this.kill();
    return isDone;
  }

  dispose(): Promise<void> {
    return this.kill();
  }
}
