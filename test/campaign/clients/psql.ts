// One psql process, which is told statements over its standard input.
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { type Guardian, guard } from "../../support/guardian.js";

export interface Answer {
  /** Rows, unaligned, and the tags of commands. */
  readonly lines: readonly string[];
  /** SQLSTATE of the first error. */
  readonly code: string | undefined;
}

/** It has ended: killed, or because its connection was lost. */
export class PsqlEnded extends Error {
  readonly signal: NodeJS.Signals | null;

  constructor(stderr: string, signal: NodeJS.Signals | null) {
    super(`psql has ended: ${stderr.trim().slice(-300)}`);
    this.signal = signal;
  }
}

export class PsqlProcess {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #guardian: Guardian;
  readonly ended: Promise<void>;
  #stdout = "";
  #stderr = "";
  #turn = 0;
  #onChange: () => void = () => {};
  isEnded = false;
  /** This process has killed it, for it said nothing. */
  isGivenUp = false;

  constructor(path: string, url: string) {
    const kept = Object.entries(process.env).filter(([name]) => !/^(PG|PSQL|LC_|LANG)/.test(name));
    const env = { ...Object.fromEntries(kept), LC_ALL: "C", PGCONNECT_TIMEOUT: "2" };
    this.#child = spawn(path, ["--no-psqlrc", "-At", "-v", "VERBOSITY=sqlstate", url], { env });
    this.#guardian = guard('kill -KILL "$1"', String(this.#child.pid));
    this.#child.stdin.on("error", () => {}); // it has ended
    for (const name of ["stdout", "stderr"] as const) {
      this.#child[name].setEncoding("utf8").on("data", (text: string) => {
        if (name === "stdout") this.#stdout += text;
        else this.#stderr += text;
        this.#onChange();
      });
    }
    this.ended = new Promise((resolve) => {
      this.#child.once("close", () => {
        this.isEnded = true;
        this.#guardian.release();
        this.#onChange();
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** @throws PsqlEnded */
  async run(text: string, limitMs: number): Promise<Answer> {
    this.#turn += 1;
    const end = `-- end of ${this.#turn}\n`;
    [this.#stdout, this.#stderr] = ["", ""];
    this.#child.stdin.write(`${text}\n\\echo '${end.trim()}'\n\\warn '${end.trim()}'\n`);
    const timer = setTimeout(() => this.#giveUp(), limitMs);
    await new Promise<void>((resolve) => {
      this.#onChange = () => {
        const isAnswered = this.#stdout.endsWith(end) && this.#stderr.endsWith(end);
        if (isAnswered || this.isEnded) resolve();
      };
      this.#onChange();
    });
    clearTimeout(timer);
    this.#onChange = () => {};
    if (!this.#stdout.endsWith(end) || !this.#stderr.endsWith(end)) {
      throw new PsqlEnded(this.#stderr, this.#child.signalCode);
    }
    const lines = this.#stdout.slice(0, -end.length).split("\n").filter(Boolean);
    return { lines, code: /^(?:ERROR|FATAL): {2}(\w{5})$/m.exec(this.#stderr)?.[1] };
  }

  async end(): Promise<void> {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#giveUp(), 1_000);
    await this.ended;
    clearTimeout(timer);
  }

  #giveUp(): void {
    this.isGivenUp = true;
    this.#child.kill("SIGKILL");
  }
}
