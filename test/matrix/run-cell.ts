import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { root } from "../package/workplace.js";
import { type Cell, filesOf } from "./cells.js";
import type { Installed } from "./installed.js";

export interface Failure {
  readonly file: string;
  readonly test: string;
  /** The first line of its error. */
  readonly reason: string;
}

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface Result extends Counts {
  /** As the server tells it. */
  readonly postgres: string;
  readonly node: string;
  /** Such as "PgBouncer 1.18.0 (pgbouncer-session)"; null: nothing stands between. */
  readonly pooler: string | null;
  readonly failures: readonly Failure[];
  /** Failed at first, and passed when their files ran once more, one at a time: the machine was busy. */
  readonly repeated: readonly Failure[];
  readonly subjects: readonly (Counts & { readonly name: string })[];
  readonly seconds: number;
}

export interface How {
  readonly installed: Installed;
  /** Test files at a time. */
  readonly workers: number;
}

interface Assertion {
  readonly fullName: string;
  readonly status: "passed" | "failed" | "skipped" | "pending" | "todo" | "disabled";
  readonly failureMessages?: readonly string[];
}

interface FileReport {
  readonly name: string;
  readonly status: string;
  readonly message?: string;
  readonly assertionResults: readonly Assertion[];
}

const limitMs = 3_600_000;
let child: ChildProcess | undefined;
let isEnding = false;

/** Runs the files of the cell; those of which a test failed once more, by themselves. */
export async function runCell(cell: Cell, how: How): Promise<Result> {
  const start = performance.now();
  const first = await runFiles(cell, filesOf(cell), how);
  const before = failuresOf(first.files);
  const again = [...new Set(before.map(({ file }) => file))];
  const second = again.length === 0 ? null : await runFiles(cell, again, { ...how, workers: 1 });
  const files = first.files.map((file) => second?.files.find(({ name }) => name === file.name) ?? file);
  const failures = failuresOf(files);
  const isAgain = ({ file, test }: Failure) =>
    failures.some((failure) => failure.file === file && failure.test === test);
  return {
    ...countsOf(files),
    postgres: first.postgres,
    node: execFileSync(how.installed.node, ["--version"], { encoding: "utf8" }).trim(),
    pooler: first.pooler,
    failures,
    repeated: before.filter((failure) => !isAgain(failure)),
    subjects: cell.subjects.map((subject) => ({
      name: subject.name,
      ...countsOf(files.filter(({ name }) => subject.files.includes(name))),
    })),
    seconds: Math.round((performance.now() - start) / 1_000),
  };
}

interface Run {
  readonly postgres: string;
  readonly pooler: string | null;
  readonly files: readonly FileReport[];
}

async function runFiles(cell: Cell, files: readonly string[], { installed, workers }: How): Promise<Run> {
  if (isEnding) throw new Error("it was ended");
  const folder = mkdtempSync(join(tmpdir(), "report-"));
  const report = join(folder, "report.json");
  try {
    const options = [`--project=${cell.through === "tls" ? "tls" : "tcp"}`, `--maxWorkers=${workers}`];
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    // a group of its own: Ctrl-C is heard here, and passed on
    child = spawn(installed.node, ["node_modules/vitest/vitest.mjs", "run", ...options, ...reporters, ...files], {
      cwd: root,
      env: environment(cell, installed),
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    let output = "";
    const note = (text: string) => {
      output += text;
      // a line for each file that is done
      for (const line of text.split("\n")) if (/^ [✓❯↓] .*\.test\.ts \(/.test(line)) console.log(`  ${line.trim()}`);
    };
    child.stdout?.setEncoding("utf8").on("data", note);
    child.stderr?.setEncoding("utf8").on("data", note);
    const timer = setTimeout(() => void end(), limitMs);
    await once(child, "close");
    clearTimeout(timer);
    child = undefined;
    if (!existsSync(report)) throw new Error(`${cell.name} could not be run:\n${output.slice(-3_000)}`);
    const { testResults } = JSON.parse(readFileSync(report, "utf8")) as { testResults: readonly FileReport[] };
    const postgres = /\[tests\] Postgres (.*?), (?:embedded|of TEST|in a)/.exec(output)?.[1];
    if (postgres?.startsWith(`${cell.postgres}.`) !== true)
      throw new Error(`${cell.name} ran on Postgres ${postgres}:\n${output.slice(-3_000)}`);
    return {
      postgres,
      pooler: /\[tests\] through (.*)/.exec(output)?.[1] ?? null,
      files: testResults.map((file) => ({ ...file, name: file.name.slice(root.length) })),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Ends what runs: in order, and after a while by force. Servers and children of the tests have guardians that end them then. */
export async function endCell(): Promise<void> {
  isEnding = true;
  await end();
}

async function end(): Promise<void> {
  const running = child;
  if (running?.pid === undefined) return;
  const closed = once(running, "close");
  const timer = setTimeout(() => signal(running, "SIGKILL"), 20_000);
  signal(running, "SIGINT");
  await closed;
  clearTimeout(timer);
}

/** Waits until the guardians of what was cut short have done their work: each takes a folder away, and before that what runs in it. */
export async function guardiansEnded(): Promise<void> {
  const isLeft = () => readdirSync(tmpdir()).some((name) => name.startsWith("leasehold-"));
  for (let turn = 0; turn < 300 && isLeft(); turn += 1) await sleep(100);
}

function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // it has just ended by itself
  }
}

/** Without an address of any database, and without what another run of tests has told its children. */
function environment(cell: Cell, { postgres, node }: Installed): NodeJS.ProcessEnv {
  const isForeign = /^(PG[A-Z]+$|NODE_OPTIONS$|VITEST|TEST_DATABASE_URL$|LEASEHOLD_|(.*_)?DATABASE_URL|DIRECT_URL$)/;
  const kept = Object.entries(process.env).filter(([name]) => !isForeign.test(name));
  const { through } = cell;
  return {
    ...Object.fromEntries(kept),
    NO_COLOR: "1",
    // it would write into the folder for temporary files when that is removed already
    TSX_DISABLE_CACHE: "1",
    PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ""}`,
    LEASEHOLD_TEST_POSTGRES: postgres,
    ...(through === "tcp" || through === "tls" ? {} : { LEASEHOLD_TEST_POOLER: through }),
  };
}

function failuresOf(files: readonly FileReport[]): readonly Failure[] {
  return files.flatMap((file) => {
    const failed = file.assertionResults.filter(({ status }) => status === "failed");
    const ofTests = failed.map(({ fullName, failureMessages }) => {
      return { file: file.name, test: fullName, reason: firstLine(failureMessages?.[0] ?? "") };
    });
    // a file that could not be loaded, or whose end failed
    const isBroken = file.status === "failed" && failed.length === 0;
    return isBroken ? [{ file: file.name, test: "(the file)", reason: firstLine(file.message ?? "") }] : ofTests;
  });
}

function countsOf(files: readonly FileReport[]): Counts {
  const all = files.flatMap(({ assertionResults }) => assertionResults);
  const passed = all.filter(({ status }) => status === "passed").length;
  const failed = failuresOf(files).length;
  return { passed, failed, skipped: all.length - passed - all.filter(({ status }) => status === "failed").length };
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0]?.slice(0, 300) ?? "";
}
