// npm run model: checks the models of the protocol with Spin, each with and without its rules, and compares each result with the one that
// model/rows.txt expects. The exit code is 1 if one differs.
//
//   npm run model -- --quick             the short rows: about a minute
//   npm run model -- C                   one model
//   npm run model -- C R_SNAP            one row
//   npm run model -- C R_SNAP --steps    and the steps of its counterexample: who made it, and what changed
//   npm run model -- --parallel 4        so many at a time; default: as many as there are processors, 2 at most: a row may need 2.5 GB
//   npm run model -- --limit 60          seconds that a search may take; default: 1,800
//   npm run model -- --rows FILE         other rows than those of model/rows.txt
//
// It builds in a temporary folder, which it removes, also when it is interrupted.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, constants, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { checkRow, Programs } from "./model/check-row.js";
import { differenceFrom, parseRows, type Row, tableLine } from "./model/rows.js";

const models = fileURLToPath(new URL("../model/", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    steps: { type: "boolean", default: false },
    parallel: { type: "string" },
    limit: { type: "string", default: "1800" },
    rows: { type: "string", default: join(models, "rows.txt") },
  },
});
const programs = new Programs();
const work = mkdtempSync(join(tmpdir(), "leasehold-model-"));

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    clear();
    process.exit(128 + constants.signals[signal]);
  });
}
try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  clear();
}

function clear(): void {
  programs.end();
  rmSync(work, { recursive: true, force: true });
}

async function main(): Promise<number> {
  await requireTools();
  const [model, name] = positionals;
  const rows = parseRows(readFileSync(values.rows, "utf8")).filter(
    (row) =>
      (row.isShort || !values.quick) &&
      (model === undefined || row.model === model) &&
      (name === undefined || row.name === name),
  );
  if (rows.length === 0) throw new Error(`There is no such row: ${positionals.join(" ")}. They are in model/rows.txt.`);
  const parallel = positive("--parallel", values.parallel ?? String(Math.min(2, availableParallelism())));
  const limitSeconds = positive("--limit", values.limit);

  console.log("| model | row | result | steps | states | CPU | memory | complete |\n|---|---|---|---|---|---|---|---|");
  const startedAt = performance.now();
  const differences: string[] = [];
  const queue = [...rows];
  const check = async (row: Row): Promise<void> => {
    const { finding, steps } = await checkRow(row, { programs, work, models, limitSeconds, withSteps: values.steps });
    console.log([tableLine(row, finding), ...steps].join("\n"));
    const difference = differenceFrom(row, finding);
    if (difference !== null) differences.push(`${row.model} ${row.name}: ${difference}`);
  };
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      for (let row = queue.shift(); row !== undefined; row = queue.shift()) await check(row);
    }),
  );
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  for (const difference of differences) console.error(`DIFFERS  ${difference}`);
  console.log(`${rows.length - differences.length} of ${rows.length} rows are as expected, after ${seconds} s`);
  return differences.length === 0 ? 0 : 1;
}

/** @throws when a program is missing: which packages bring it */
async function requireTools(): Promise<void> {
  const packages = { spin: "spin", gcc: "gcc libc6-dev", bash: "bash", timeout: "coreutils" };
  const missing: string[] = [];
  for (const [program, bringing] of Object.entries(packages)) {
    try {
      await programs.run(work, program, [program === "spin" ? "-V" : "--version"]);
    } catch {
      missing.push(bringing);
    }
  }
  if (missing.length > 0) {
    throw new Error(
      `The models cannot be checked: what these Debian packages bring is not there: ${missing.join(", ")}.\nInstall it: apt-get install -y --no-install-recommends ${missing.join(" ")}`,
    );
  }
}

function positive(option: string, value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new Error(`${option} ${value}: expected a number from 1 up`);
  return number;
}
