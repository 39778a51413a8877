import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Mutant } from "../mutants/mutant.js";
import { killGroup } from "./kill-group.js";
import { type Change, mutated } from "./places.js";

const copied = [
  "bench",
  "src",
  "migrations",
  "test",
  "scripts",
  "examples",
  "docs",
  "config.schema.json",
  "package.json",
  "drizzle.config.ts",
  "vitest.config.ts",
  "tsconfig.json",
  "tsconfig.build.json",
  "README.md",
];

export interface Failure {
  /** The test that failed; the files, when none can be named. */
  readonly test: string;
  readonly message: string;
}

/** A copy of the project, in which things may be broken. */
export class Workshop {
  readonly folder = mkdtempSync(join(tmpdir(), "leasehold-mutations-"));
  readonly #patienceMs: number;
  #child: ChildProcess | undefined;

  /** A run that takes longer than `patienceMs` hangs: it is ended, and counts as failed. */
  constructor(root: string, patienceMs: number) {
    this.#patienceMs = patienceMs;
    const isOwn = (path: string): boolean => basename(path) !== "node_modules";
    for (const name of copied) cpSync(join(root, name), join(this.folder, name), { recursive: true, filter: isOwn });
    for (const packages of ["node_modules", "test/libraries/node_modules"]) {
      if (existsSync(join(root, packages))) symlinkSync(join(root, packages), join(this.folder, packages));
    }
  }

  /** Puts the fault in. Returns which files have changed by it, and what takes it out again. */
  async apply(mutant: Mutant): Promise<{ readonly changed: readonly string[]; takeOut(): Promise<void> }> {
    return this.#change(mutated(this.folder, mutant));
  }

  /** The same for a file's whole text. */
  async replace(file: string, text: string): Promise<{ takeOut(): Promise<void> }> {
    return this.#change([{ file, original: readFileSync(join(this.folder, file), "utf8"), text }]);
  }

  async #change(
    changes: readonly Change[],
  ): Promise<{ readonly changed: readonly string[]; takeOut(): Promise<void> }> {
    const write = async (which: "original" | "text") => {
      for (const change of changes) writeFileSync(join(this.folder, change.file), change[which]);
      if (changes.some(({ file }) => file.startsWith("src/sql/"))) await this.#buildMigrations();
    };
    try {
      await write("text");
    } catch (error) {
      await write("original");
      throw error;
    }
    return { changed: changes.map(({ file }) => file), takeOut: () => write("original") };
  }

  /** Runs test files until one test fails. Null: all passed. */
  async failure(files: readonly string[]): Promise<Failure | null> {
    const path = join(this.folder, "report.json");
    rmSync(path, { force: true });
    const options = ["--bail=1", "--reporter=json", `--outputFile=${path}`, ...projectsOf(files)];
    const { code } = await this.#run(["node_modules/vitest/vitest.mjs", "run", ...options, ...files]);
    if (code === 0) return null;
    if (code === null) return { test: files.join(", "), message: `did not end within ${this.#patienceMs / 1_000} s` };
    return firstFailure(path) ?? { test: files.join(", "), message: "could not be run" };
  }

  clear(): void {
    this.#end();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async #buildMigrations(): Promise<void> {
    const { code, stderr } = await this.#run(["--import", "tsx", "scripts/build-migrations.ts"]);
    if (code !== 0) throw new Error(`the migrations could not be built: ${stderr}`);
  }

  /** Runs Node in the copy. `code`: null, when it had to be ended. */
  async #run(args: readonly string[]): Promise<{ code: number | null; stderr: string }> {
    // a group of its own, so that a test that hangs can be ended with all that it started, and Ctrl-C is heard here first
    const child = spawn(process.execPath, args, {
      cwd: this.folder,
      stdio: ["ignore", "ignore", "pipe"],
      detached: true,
    });
    this.#child = child;
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const timer = setTimeout(() => this.#end(), this.#patienceMs);
    const [code] = await once(child, "exit");
    clearTimeout(timer);
    this.#child = undefined;
    return { code, stderr };
  }

  /** Servers and children of the tests have guardians that end them with the process that started them. */
  #end(): void {
    killGroup(this.#child?.pid);
  }
}

/** Those with packages of their own have a configuration of their own; run `npm run check:libraries` first, which installs them. */
function projectsOf(files: readonly string[]): readonly string[] {
  if (files.some(hasOwnPackages)) return ["--config=test/libraries/vitest.config.ts"];
  // once is enough of what runs over TLS a second time
  return files.some((file) => file.startsWith("test/tls/")) ? [] : ["--project=unit", "--project=tcp"];
}

/** Whether a lane can run it: it has the usual packages, and the shared server. */
export function isForLane(file: string): boolean {
  return !hasOwnPackages(file) && !file.startsWith("test/tls/");
}

function hasOwnPackages(file: string): boolean {
  return file.startsWith("test/libraries/");
}

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

function firstFailure(path: string): Failure | null {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return null; // vitest ended before it wrote one
  }
  for (const { name, message, assertionResults } of report.testResults) {
    const failed = assertionResults.find(({ status }) => status === "failed");
    if (failed) return { test: failed.fullName, message: failed.failureMessages[0] ?? "" };
    if (message) return { test: name, message };
  }
  return null;
}
