// npm run mutations:typescript: faults in TypeScript that nobody thought of, made by Stryker, first against the unit lane (test/unit). Stryker
// puts all of them into the sources at once, each behind a switch, and runs for each the tests that reach it. What these do not notice is put to
// the tests that need a server (scripts/mutations/stryker/further.ts). The exit code is 1 when one survives that
// scripts/mutations/stryker/explained.ts does not explain.
//
//   npm run mutations:typescript -- --file hold/lease   the sources whose path contains this; several times for several
//   npm run mutations:typescript -- --sample 5 --seed 7   so many files, drawn by chance: all of them take hours
//   npm run mutations:typescript -- --parallel 4        so many processes; default: half the processors
//   npm run mutations:typescript -- --continue FILE     takes from this file what is known, and writes there what it finds (Stryker's
//       "incremental" report), and beside it, in FILE.jsonl, what the tests with a server noticed. A change of a source or of a test
//       invalidates what depends on it
//
// Stryker has packages of its own, in scripts/mutations/stryker, installed when they are missing. Left out are texts (StringLiteral), and
// what runs when a module is loaded: that would have to be run with every test.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ownTemporaryFolder } from "../test/package/own-temporary-folder.js";
import { randomFrom } from "../test/support/random.js";
import { all } from "./mutants/all.js";
import { Baselines } from "./mutations/baselines.js";
import { Lane } from "./mutations/lanes.js";
import { Records } from "./mutations/records.js";
import { startServer } from "./mutations/server.js";
import { explained } from "./mutations/stryker/explained.js";
import { FurtherTests } from "./mutations/stryker/further.js";
import { type Report, type Survivor, showScore, survivorsOf } from "./mutations/stryker/report.js";
import { Workshop } from "./mutations/workshop.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const tools = join(root, "scripts/mutations/stryker");
/** What the unit lane is for. The rest speaks with a server. */
const covered =
  /^src\/(acquire|claim|config|config-file|errors|hold|instances|locker|memory|observe|runtime|store)\/|^src\/cli\/(duration|pattern|table|width)\.ts$|^src\/postgres\/acts\//;
const incremental = "reports/stryker-incremental.json";

const { values } = parseArgs({
  options: {
    file: { type: "string", multiple: true },
    sample: { type: "string" },
    seed: { type: "string", default: "1" },
    parallel: { type: "string" },
    continue: { type: "string" },
  },
});

const parallel = values.parallel ? numberOf("parallel", values.parallel) : Math.max(1, availableParallelism() >> 1);

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} ${text}: expected a number from 1`);
  return number;
}

function chosenFiles(): readonly string[] {
  const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .map((name) => `src/${name.replaceAll("\\", "/")}`)
    .filter((name) => covered.test(name) && name.endsWith(".ts") && !name.includes(".generated."))
    .filter((name) => (values.file ?? [""]).some((part) => name.includes(part)))
    .sort();
  if (files.length === 0) throw new Error(`the unit lane covers no such file: ${values.file?.join(", ")}`);
  if (values.sample === undefined) return files;
  const random = randomFrom(numberOf("seed", values.seed));
  return files
    .map((file) => ({ file, lot: random() }))
    .sort((a, b) => a.lot - b.lot)
    .slice(0, numberOf("sample", values.sample))
    .map(({ file }) => file);
}

/** Skipped where it is there already: npm writes what it has installed. */
function install(): void {
  const wanted = readFileSync(join(tools, "package-lock.json"), "utf8");
  const marker = join(tools, "node_modules", ".installed-lock.json");
  if (existsSync(marker) && readFileSync(marker, "utf8") === wanted) return;
  // vitest is that of the project
  const args = ["ci", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund"];
  execFileSync("npm", args, { cwd: tools, stdio: "inherit" });
  writeFileSync(marker, wanted);
}

function configuration(files: readonly string[]): object {
  return {
    testRunner: "vitest",
    plugins: [join(tools, "node_modules/@stryker-mutator/vitest-runner/dist/src/index.js")],
    vitest: { configFile: "scripts/mutations/stryker/vitest.config.ts", related: false },
    mutate: files,
    mutator: { excludedMutations: ["StringLiteral"] },
    ignoreStatic: true,
    coverageAnalysis: "perTest",
    inPlace: true, // it is a copy already
    incremental: true,
    incrementalFile: incremental,
    concurrency: parallel,
    reporters: ["json", "progress-append-only"],
    jsonReporter: { fileName: "reports/mutation.json" },
    allowConsoleColors: false,
    // Manual time costs none: what takes so long hangs, or the machine is busy.
    timeoutMS: 20_000,
    timeoutFactor: 3,
    dryRunTimeoutMinutes: 30,
  };
}

/** Runs Stryker in the copy. */
async function runStryker(folder: string): Promise<Report> {
  writeFileSync(join(folder, "stryker.json"), JSON.stringify(configuration(chosenFiles())));
  mkdirSync(join(folder, dirname(incremental)), { recursive: true });
  if (values.continue && existsSync(values.continue)) copyFileSync(values.continue, join(folder, incremental));
  const program = join(tools, "node_modules/@stryker-mutator/core/bin/stryker.js");
  // a group of its own: its test runners go with it
  stryker = spawn(process.execPath, [program, "run", "stryker.json"], {
    cwd: folder,
    stdio: "inherit",
    detached: true,
  });
  const [code] = await once(stryker, "exit");
  if (code !== 0) throw new Error("Stryker did not come to its end");
  if (values.continue) copyFileSync(join(folder, incremental), values.continue);
  return JSON.parse(readFileSync(join(folder, "reports/mutation.json"), "utf8"));
}

/** Which of the survivors the tests with a server notice. */
async function noticed(survivors: readonly Survivor[]): Promise<ReadonlySet<Survivor>> {
  const found = new Set<Survivor>();
  const records = new Records(root, values.continue && `${values.continue}.jsonl`);
  const further = new FurtherTests(all, records, new Baselines(records));
  const queue: Survivor[] = [];
  for (const survivor of survivors.filter(({ id, isRefused }) => !isRefused && !explained.has(id))) {
    const finding = further.known(survivor);
    if (finding === undefined) queue.push(survivor);
    else if (finding.outcome === "killed") found.add(survivor);
  }
  if (queue.length === 0) return found;
  const total = queue.length;
  let done = 0;
  while (workshops.length < Math.min(parallel, total)) workshops.push(new Workshop(root, 600_000));
  const server = await startServer();
  try {
    await Promise.all(
      workshops.map(async (workshop) => {
        const lane = new Lane(workshop.folder, server.url);
        lanes.push(lane);
        for (let survivor = queue.shift(); survivor !== undefined; survivor = queue.shift()) {
          const { outcome, by, seconds } = await further.judge({ workshop, lane }, survivor);
          if (outcome === "killed") found.add(survivor);
          const { id, file, line, what } = survivor;
          done += 1;
          console.log(`${done}/${total}  ${outcome.padEnd(8)} ${seconds} s  ${id}  ${file}:${line}  ${what}  ${by}`);
        }
        await lane.stop();
      }),
    );
  } finally {
    for (const lane of lanes) lane.kill();
    await server.stop();
  }
  return found;
}

install();
await using _temporary = await ownTemporaryFolder(); // for what is left by those that are ended
const workshops = [new Workshop(root, 600_000)];
const lanes: Lane[] = [];
let stryker: ReturnType<typeof spawn> | undefined;
const end = () => {
  if (stryker?.pid !== undefined && stryker.exitCode === null) process.kill(-stryker.pid, "SIGKILL");
  for (const lane of lanes) lane.kill();
  for (const workshop of workshops) workshop.clear();
};
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    end();
    process.exit(128 + constants.signals[signal]); // the server has a guardian
  });
}
try {
  const folder = workshops[0]?.folder as string;
  const report = await runStryker(folder);
  const survivors = await survivorsOf(report, folder);
  const found = await noticed(survivors);
  process.exitCode = showScore(report, survivors, (survivor) => found.has(survivor)) ? 0 : 1;
} finally {
  end();
}
