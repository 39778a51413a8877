// The command line as a user has it: in JavaScript, and started as a process.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { vi } from "vitest";
import { closed, opened } from "./resources.js";
import { noteSignal, noteStderr } from "./uncaught.js";

export interface CliOptions {
  readonly url?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface CliResult {
  /** The exit code, or the signal that ended it. */
  readonly code: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Ours without any address of a database, and without what says how to draw. */
export function cliEnvironment({ url, env }: CliOptions): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(PG|.*DATABASE_URL|.*DIRECT_URL|NO_COLOR|FORCE_COLOR|CI$|NODE_OPTIONS|VITEST|XDG_)/.test(name),
  );
  return {
    ...Object.fromEntries(kept),
    TERM: "xterm-256color",
    ...(url === undefined ? {} : { DATABASE_URL: url }),
    ...env,
  };
}

/** Signals by which a program ends that nobody ends: `run` passes on others. */
const crashes: ReadonlySet<unknown> = new Set(["SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGTRAP"]);

/** A command that runs. It has a session of its own, and so no terminal, wherever the tests were started. */
export class CliProcess implements AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  readonly result: Promise<CliResult>;
  readonly #child: ChildProcess;
  #stdout = "";
  #stderr = "";
  readonly #watchers = new Set<() => void>();

  constructor(program: string, args: readonly string[], options: CliOptions) {
    this.#child = spawn(process.execPath, [program, ...args], {
      cwd: options.cwd ?? tmpdir(),
      env: cliEnvironment(options),
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    this.pid = this.#child.pid ?? 0;
    this.name = `leasehold ${args.join(" ")}, pid ${this.pid}`;
    opened(this);
    this.#child.stdin?.on("error", () => {});
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout += text;
      for (const watcher of this.#watchers) watcher();
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
      for (const watcher of this.#watchers) watcher();
    });
    this.result = once(this.#child, "close").then(([code, signal]) => {
      closed(this);
      for (const watcher of this.#watchers) watcher();
      noteStderr(this.name, this.#stderr);
      if (crashes.has(signal)) noteSignal(this.name, signal);
      return { code: code ?? signal, stdout: this.#stdout, stderr: this.#stderr };
    });
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Waits until it has written this. Fails when it ends before. */
  async wrote(text: string | RegExp): Promise<string> {
    const isThere = () => (typeof text === "string" ? this.#stdout.includes(text) : text.test(this.#stdout));
    while (!isThere()) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        await this.result;
        if (isThere()) break;
        throw new Error(`${this.name} ended before it wrote ${text}:\n${this.#stdout}\n${this.#stderr}`);
      }
      await new Promise<void>((resolve) => {
        const watcher = () => {
          this.#watchers.delete(watcher);
          resolve();
        };
        this.#watchers.add(watcher);
      });
    }
    return this.#stdout;
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  endInput(): void {
    this.#child.stdin?.end();
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async dispose(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.result;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/** Runs it to its end. */
export async function runCli(
  program: string,
  args: readonly string[],
  options: CliOptions & { readonly input?: string } = {},
): Promise<CliResult> {
  const child = new CliProcess(program, args, options);
  if (options.input !== undefined) child.write(options.input);
  child.endInput();
  return await child.result;
}

let lastCall: Promise<unknown> = Promise.resolve();

/**
 * The same within this process, one call after the other, for what is decided before anything is done: to start a process takes 0.2 s of a
 * processor, and there are hundreds of ways to be wrong.
 */
export function callCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const call = lastCall.then(() => callMain(args, options));
  lastCall = call.catch(() => undefined);
  return call;
}

/** Its answer, in the cheapest way: `run`, which starts a command and listens to signals, as a process; all else within this one. */
export function askCli(program: string, args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return args[0] === "run" ? runCli(program, args, options) : callCli(args, options);
}

async function callMain(args: readonly string[], options: CliOptions): Promise<CliResult> {
  const { main } = await import("../../src/cli/main.js");
  const { env } = process;
  const written = { stdout: "", stderr: "" };
  const streams = (["stdout", "stderr"] as const).map((name) => ({
    name,
    listeners: process[name].listeners("error"),
  }));
  const spies = streams.map(({ name }) =>
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      written[name] += String(text);
      return true;
    }),
  );
  process.env = cliEnvironment(options);
  try {
    return { code: await main(args), ...written };
  } finally {
    process.env = env;
    for (const spy of spies) spy.mockRestore();
    for (const { name, listeners } of streams)
      for (const listener of process[name].listeners("error"))
        if (!listeners.includes(listener)) process[name].off("error", listener as () => void);
  }
}

/** Whether a shell is there to try completions in. Says so loudly, as what it tests stays untested. */
export function hasShell(shell: "bash" | "zsh" | "fish"): boolean {
  try {
    execFileSync(shell, ["-c", "true"], { stdio: "ignore" });
    return true;
  } catch {
    console.warn(`\n!!! ${shell.toUpperCase()} IS NOT INSTALLED: its completions are NOT tested !!!\n`);
    return false;
  }
}

/** Where Python is, to make pseudo-terminals with. Says so loudly, as what it tests stays untested. */
export function findPython(): string | undefined {
  try {
    execFileSync("python3", ["-c", "import os, pty, termios; os.waitstatus_to_exitcode"], { stdio: "ignore" });
    return "python3";
  } catch {
    console.warn("\n!!! PYTHON 3 IS NOT INSTALLED: what draws on a terminal is NOT tested !!!\n");
    return undefined;
  }
}
