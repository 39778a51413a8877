// A program on a pseudo-terminal (terminal.py), with keys to press, a size to change and a screen to read.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type CliOptions, cliEnvironment } from "./cli.js";
import { closed, opened } from "./resources.js";
import { noteStderr } from "./uncaught.js";
import { until } from "./until.js";

const helper = fileURLToPath(new URL("./terminal.py", import.meta.url));

export interface TerminalOptions extends CliOptions {
  readonly columns?: number;
  readonly rows?: number;
}

export class Terminal implements AsyncDisposable {
  readonly name: string;
  /** The exit code; negative: the signal that ended it. */
  readonly exit: Promise<number>;
  readonly #helper: ChildProcess;
  #output = "";
  #pid = 0;

  constructor(command: readonly string[], { columns = 100, rows = 24, ...options }: TerminalOptions) {
    this.#helper = spawn("python3", [helper, String(columns), String(rows), ...command], {
      cwd: options.cwd ?? tmpdir(),
      env: cliEnvironment(options),
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.name = `on a terminal: ${command.join(" ")}`;
    opened(this);
    let exit = Number.NaN;
    createInterface({ input: this.#helper.stdout ?? process.stdin }).on("line", (line) => {
      const message: { output?: string; exit?: number; pid?: number } = JSON.parse(line);
      this.#output += message.output ?? "";
      this.#pid = message.pid ?? this.#pid;
      exit = message.exit ?? exit;
    });
    this.#helper.stdin?.on("error", () => {});
    this.exit = once(this.#helper, "close").then(() => {
      closed(this);
      noteStderr(this.name, this.#output.replaceAll("\r", ""));
      return exit;
    });
  }

  /** All that was written, escapes included. */
  get output(): string {
    return this.#output;
  }

  get pid(): number {
    return this.#pid;
  }

  /** What the last frame shows: `watch` begins each one at the upper left corner. */
  get screen(): string[] {
    const frame = this.#output.slice(this.#output.lastIndexOf("\u001b[H"));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a terminal understands
    return frame.replaceAll(/\u001b\[[\d;?]*[A-Za-z]/g, "").split(/\r*\n/);
  }

  async shows(text: string | RegExp): Promise<string[]> {
    await until(`${text} on the screen`, () => {
      const whole = this.screen.join("\n");
      return typeof text === "string" ? whole.includes(text) : text.test(whole);
    }).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.screen.join("\n")}`);
    });
    return this.screen;
  }

  async wrote(text: string): Promise<void> {
    await until(`${text} on the terminal`, () => this.#output.includes(text));
  }

  press(keys: string): void {
    this.#send({ write: keys });
  }

  resize(columns: number, rows: number): void {
    this.#send({ resize: [columns, rows] });
  }

  /** The terminal goes away, as when its window is closed. */
  async hangUp(): Promise<void> {
    this.#helper.kill("SIGKILL");
    await this.exit;
  }

  dispose(): Promise<void> {
    return this.hangUp();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #send(message: object): void {
    this.#helper.stdin?.write(`${JSON.stringify(message)}\n`);
  }
}
