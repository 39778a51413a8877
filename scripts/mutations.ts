// npm run mutations: puts one fault after another into a copy of the project, and runs the tests that should notice. A fault
// that no test notices means that a promise is not tested: the exit code is 1 then.
//
//   npm run mutations -- --only "release: by the key alone"   one of them, or all whose name contains this
//   npm run mutations -- --tests test/stale-writes/random.test.ts   which faults these files notice by themselves
//   npm run mutations -- --list
//   npm run mutations -- --check   whether each still finds its place in the source
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { cli } from "./mutants/cli.js";
import { client } from "./mutants/client.js";
import { counters } from "./mutants/counters.js";
import { fences } from "./mutants/fences.js";
import { grants } from "./mutants/grants.js";
import { guards } from "./mutants/guards.js";
import { leases } from "./mutants/leases.js";
import type { Mutant } from "./mutants/mutant.js";
import { sqlApi } from "./mutants/sql-api.js";
import { sweeper } from "./mutants/sweeper.js";
import { tls } from "./mutants/tls.js";
import { trust } from "./mutants/trust.js";
import { views } from "./mutants/views.js";
import { watch } from "./mutants/watch.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const copied = [
  "src",
  "migrations",
  "test",
  "scripts",
  "examples",
  "docs",
  "package.json",
  "vitest.config.ts",
  "tsconfig.json",
  "tsconfig.build.json",
  "README.md",
];
/** Far more than any of the files takes: a mutant that hangs for so long is killed, too. */
const patienceMs = 300_000;

interface Result {
  readonly mutant: Mutant;
  /** Broken: what was to be a fault is a program that does not run. */
  readonly outcome: "killed" | "SURVIVED" | "BROKEN";
  /** The test that noticed, and how. */
  readonly by: string;
  readonly seconds: number;
}

/** A copy of the project, in which things may be broken. */
class Workshop {
  readonly #folder = mkdtempSync(join(tmpdir(), "leasehold-mutations-"));
  #vitest: ChildProcess | undefined;

  constructor() {
    for (const name of copied) cpSync(join(root, name), join(this.#folder, name), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(this.#folder, "node_modules"));
  }

  /** Puts the fault in; what it returns takes it out again. @throws when the place is not there, or not the only one */
  apply(mutant: Mutant): () => void {
    const { original, text } = mutated(this.#folder, mutant);
    const write = (content: string) => {
      writeFileSync(join(this.#folder, mutant.file), content);
      if (mutant.file.startsWith("migrations/")) this.#embed();
    };
    write(text);
    return () => write(original);
  }

  /** Runs test files until one test fails: which one, and its message. Null: all passed. */
  async failure(files: readonly string[]): Promise<{ test: string; message: string } | null> {
    const report = join(this.#folder, "report.json");
    rmSync(report, { force: true });
    // once is enough of what runs over TLS a second time
    const projects = files.some((file) => file.startsWith("test/tls/")) ? [] : ["--project=tcp"];
    const options = ["--bail=1", "--reporter=json", `--outputFile=${report}`, ...projects];
    const vitest = spawn(
      process.execPath,
      ["node_modules/vitest/vitest.mjs", "run", ...options, ...files],
      // a group of its own, so that a test that hangs can be ended with all that it started
      { cwd: this.#folder, stdio: "ignore", detached: true },
    );
    this.#vitest = vitest;
    const timer = setTimeout(() => this.#end(), patienceMs);
    const [code] = await once(vitest, "exit");
    clearTimeout(timer);
    this.#vitest = undefined;
    if (code === 0) return null;
    if (code === null) return { test: files.join(", "), message: `did not end within ${patienceMs / 1_000} s` };
    return firstFailure(report) ?? { test: files.join(", "), message: "could not be run" };
  }

  clear(): void {
    this.#end();
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #embed(): void {
    const { status, stderr } = spawnSync(process.execPath, ["--import", "tsx", "scripts/embed-migrations.ts"], {
      cwd: this.#folder,
    });
    if (status !== 0) throw new Error(`the migrations could not be embedded: ${stderr}`);
  }

  /** Servers and children of the tests have guardians that end them with the process that started them. */
  #end(): void {
    const pid = this.#vitest?.pid;
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  }
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

function firstFailure(path: string): { test: string; message: string } | null {
  const { testResults }: Report = JSON.parse(readFileSync(path, "utf8"));
  for (const { name, message, assertionResults } of testResults) {
    const failed = assertionResults.find(({ status }) => status === "failed");
    if (failed) return { test: failed.fullName, message: failed.failureMessages[0] ?? "" };
    if (message) return { test: name, message };
  }
  return null;
}

async function judge(workshop: Workshop, mutant: Mutant, files: readonly string[]): Promise<Result> {
  const start = performance.now();
  const takeOut = workshop.apply(mutant);
  const failure = await workshop.failure(files);
  takeOut();
  const seconds = (performance.now() - start) / 1_000;
  if (failure === null) return { mutant, outcome: "SURVIVED", by: "", seconds };
  const message = failure.message.split("\n")[0] ?? "";
  // a test that finds no function, or a file that cannot be loaded, has not noticed the fault
  const isBroken = /could not be (migrated|run)|syntax error|does not exist|SyntaxError|ReferenceError/.test(
    failure.message,
  );
  return { mutant, outcome: isBroken ? "BROKEN" : "killed", by: `${failure.test}: ${message}`, seconds };
}

function print(results: readonly Result[]): void {
  const width = Math.max(...results.map(({ mutant }) => mutant.name.length));
  console.log();
  for (const { mutant, outcome, by, seconds } of results) {
    const line = `${outcome.padEnd(8)}  ${mutant.name.padEnd(width)}  ${seconds.toFixed(0).padStart(3)} s  ${by}`;
    console.log(line.length > 220 ? `${line.slice(0, 219)}…` : line);
  }
  const killed = results.filter(({ outcome }) => outcome === "killed").length;
  console.log(`\n${killed} of ${results.length} killed`);
}

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    tests: { type: "string" },
    list: { type: "boolean" },
    check: { type: "boolean" },
  },
});
const mutants = [
  ...guards,
  ...grants,
  ...fences,
  ...leases,
  ...client,
  ...counters,
  ...sqlApi,
  ...sweeper,
  ...trust,
  ...views,
  ...watch,
  ...cli,
  ...tls,
].filter(({ name }) => name.includes(values.only ?? ""));
const filesOf = (mutant: Mutant) => values.tests?.split(",") ?? mutant.tests;

function mutated(folder: string, { name, file, edits }: Mutant): { original: string; text: string } {
  const original = readFileSync(join(folder, file), "utf8");
  let text = original;
  for (const [find, replacement] of edits) {
    const found = text.split(find).length - 1;
    if (found !== 1) throw new Error(`${name}: found ${found} times in ${file}, not once:\n${find}`);
    text = text.replace(find, () => replacement);
  }
  if (text === original) throw new Error(`${name}: changes nothing in ${file}`);
  return { original, text };
}

/** All of them can be put in, or it is known at once. */
function checkPlaces(): void {
  const misfits = mutants.flatMap((mutant) => {
    try {
      mutated(root, mutant);
      return [];
    } catch (error) {
      return [(error as Error).message];
    }
  });
  if (misfits.length > 0) throw new Error(misfits.join("\n"));
  console.log(`${mutants.length} mutations find their places`);
}

async function run(workshop: Workshop): Promise<boolean> {
  const files = [...new Set(mutants.flatMap(filesOf))];
  // twice, for a test that fails on a busy machine says nothing
  const failure = (await workshop.failure(files)) && (await workshop.failure(files));
  if (failure) throw new Error(`a test fails without any fault: ${failure.test}\n${failure.message}`);
  console.log(`${files.length} test files pass as they are; ${mutants.length} mutations follow`);
  const results: Result[] = [];
  for (const mutant of mutants) {
    const result = await judge(workshop, mutant, filesOf(mutant));
    results.push(result);
    console.log(`${result.outcome.padEnd(8)}  ${mutant.name}`);
  }
  print(results);
  return results.every(({ outcome }) => outcome === "killed");
}

if (mutants.length === 0) throw new Error(`no mutation is called ${values.only}: see --list`);
checkPlaces();
if (values.list) {
  for (const { name, tests } of mutants) console.log(`${name}\n    ${tests.join(", ")}`);
} else if (!values.check) {
  const workshop = new Workshop();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      workshop.clear();
      process.exit(128 + constants.signals[signal]);
    });
  }
  try {
    process.exitCode = (await run(workshop)) ? 0 : 1;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  } finally {
    workshop.clear();
  }
}
