// What runs a transcript: psql itself, or, where there is none, a connection whose answers are put into the same words.
import { type ChildProcessWithoutNullStreams, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import type postgres from "postgres";
import { openClient } from "../support/client.js";

export interface Console {
  /** What is answered, errors included. */
  type(input: string): Promise<string>;
  end(): Promise<void>;
}

/** Where psql is: beside the server's other programs, or on the path. */
export async function findPsql(): Promise<string | undefined> {
  const beside = await promisify(execFile)("pg_config", ["--bindir"]).then(
    ({ stdout }) => [stdout.trim()],
    () => [],
  );
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...beside];
  return folders.map((folder) => join(folder, "psql")).find((path) => existsSync(path));
}

export class Psql implements Console {
  readonly #child: ChildProcessWithoutNullStreams;
  #output = { stdout: "", stderr: "" };
  #turn = 0;

  constructor(path: string, url: string) {
    const kept = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG|PSQL)/.test(name));
    const env = { ...Object.fromEntries(kept), PGTZ: "UTC", LC_ALL: "C" };
    this.#child = spawn(path, ["--no-psqlrc", url], { env });
    for (const stream of ["stdout", "stderr"] as const) {
      this.#child[stream].setEncoding("utf8").on("data", (text: string) => {
        this.#output[stream] += text;
        this.#child.emit("said");
      });
    }
  }

  async type(input: string): Promise<string> {
    this.#turn += 1;
    const end = `-- end of ${this.#turn}\n`;
    this.#child.stdin.write(`${input}\n\\echo '${end.trim()}'\n\\warn '${end.trim()}'\n`);
    while (!this.#output.stdout.endsWith(end) || !this.#output.stderr.endsWith(end)) {
      await Promise.race([once(this.#child, "said"), once(this.#child, "exit").then(() => fail(this.#output.stderr))]);
    }
    const { stdout, stderr } = this.#output;
    this.#output = { stdout: "", stderr: "" };
    return stdout.slice(0, -end.length) + stderr.slice(0, -end.length);
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.stdin.end();
    await exit;
  }
}

function fail(stderr: string): never {
  throw new Error(`psql has ended: ${stderr}`);
}

/** Knows statements and `\set`; columns are not aligned. */
export class StandIn implements Console {
  readonly #sql: postgres.Sql;

  private constructor(sql: postgres.Sql) {
    this.#sql = sql;
  }

  static async open(url: string): Promise<StandIn> {
    const sql = await openClient(url);
    await sql`set timezone = 'UTC'`;
    return new StandIn(sql);
  }

  async type(input: string): Promise<string> {
    if (input.startsWith("\\set ")) return "";
    try {
      const result = await this.#sql.unsafe(input).simple().raw();
      return this.#print(result as unknown as Result);
    } catch (error) {
      const { severity, message, detail, hint } = error as Error & Record<"severity" | "detail" | "hint", string>;
      return [`${severity}:  ${message}`, detail && `DETAIL:  ${detail}`, hint && `HINT:  ${hint}`]
        .filter((line) => line !== undefined)
        .join("\n");
    }
  }

  end(): Promise<void> {
    return this.#sql.end({ timeout: 1 });
  }

  #print(result: Result): string {
    if (result.columns === undefined) {
      return result.command === "INSERT" ? `INSERT 0 ${result.count}` : result.command;
    }
    const header = result.columns.map(({ name }) => name).join("|");
    const rows = result.map((cells) => cells.map((cell) => cell?.toString() ?? "").join("|"));
    return [header, ...rows, `(${rows.length} ${rows.length === 1 ? "row" : "rows"})`].join("\n");
  }
}

interface Result extends ReadonlyArray<readonly (Buffer | null)[]> {
  readonly columns?: readonly { readonly name: string }[];
  readonly command: string;
  readonly count: number;
}
