// npm run matrix: the parts of the suite that depend on the server, on Node or on what stands between, on every combination that
// docs/reference/compatibility.md names. Exit code 1 when a cell fails.
//
//   npm run matrix -- --list                  the cells, and how many test files each runs
//   npm run matrix -- --only pg17             those whose name contains this; may be given several times
//   npm run matrix -- --workers 2             test files at a time; default 3
//   npm run matrix -- --continue FILE         notes each result in this file, and leaves out what has passed already: a run that was
//       interrupted goes on. What depends on something that has changed since is run anew
//   npm run matrix -- --write                 writes the table of this run, and of what FILE knows, into docs
//   npm run matrix -- --cache FOLDER          where servers and Nodes are installed; default node_modules/.cache/leasehold-matrix
import { constants } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ownTemporaryFolder } from "../package/own-temporary-folder.js";
import { root } from "../package/workplace.js";
import { type Cell, cells, filesOf } from "./cells.js";
import { install } from "./installed.js";
import { type CellRecord, hashOf, Records } from "./records.js";
import { endCell, type Failure, guardiansEnded, runCell } from "./run-cell.js";
import { table, writeTable } from "./table.js";

const { values } = parseArgs({
  options: {
    list: { type: "boolean" },
    only: { type: "string", multiple: true },
    workers: { type: "string", default: "3" },
    continue: { type: "string" },
    write: { type: "boolean" },
    cache: { type: "string", default: join(root, "node_modules/.cache/leasehold-matrix") },
  },
});
const workers = Number(values.workers);
if (!Number.isInteger(workers) || workers < 1) throw new Error(`--workers ${values.workers}: expected a number`);
const chosen = cells.filter(({ name }) => (values.only ?? [""]).some((part) => name.includes(part)));
if (chosen.length === 0) throw new Error("there is no such cell: see --list");

let interrupted: NodeJS.Signals | null = null;

async function run(): Promise<boolean> {
  await using _temporary = await ownTemporaryFolder();
  const records = new Records(values.continue);
  const results: CellRecord[] = [];
  try {
    for (const cell of chosen) {
      if (interrupted !== null) return false;
      const known = records.find(cell);
      const record = known?.failed === 0 ? known : await check(cell, records);
      if (record !== null) results.push(record);
    }
  } finally {
    await guardiansEnded();
  }
  const rows = cells.map((cell) => ({
    cell,
    record: results.find(({ cell: name }) => name === cell.name) ?? records.find(cell),
  }));
  console.log(`\n${table(rows.filter(({ record }) => record !== undefined))}`);
  if (values.write) writeTable(rows);
  const failures = results.filter(({ failed }) => failed > 0);
  console.log(`\n${results.length - failures.length} of ${chosen.length} cells passed`);
  return failures.length === 0 && results.length === chosen.length;
}

/** Null: it could not be run. */
async function check(cell: Cell, records: Records): Promise<CellRecord | null> {
  try {
    const installed = await install(cell, resolve(values.cache));
    if (interrupted !== null) return null;
    console.log(`${cell.name}: ${filesOf(cell).length} files`);
    const sources = hashOf(cell);
    const result = await runCell(cell, { installed, workers });
    if (interrupted !== null) return null;
    const { passed, failed, skipped, seconds } = result;
    console.log(`${cell.name}: ${passed} passed, ${failed} failed, ${skipped} skipped, ${seconds} s`);
    for (const failure of result.failures) console.log(`  FAILED  ${describe(failure)}`);
    for (const failure of result.repeated) console.log(`  passed when it was run again  ${describe(failure)}`);
    return records.note(cell, sources, result);
  } catch (error) {
    if (interrupted === null) console.log(`${cell.name}: COULD NOT BE RUN: ${(error as Error).message}`);
    return null;
  }
}

function describe({ file, test, reason }: Failure): string {
  return `${file}: ${test}\n      ${reason}`;
}

if (values.list) {
  for (const cell of chosen) {
    const { name, postgres, node, through } = cell;
    console.log(`${name.padEnd(26)} Postgres ${postgres}, Node ${node}, ${through}, ${filesOf(cell).length} files`);
  }
} else {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      interrupted ??= signal;
      void endCell();
    });
  }
  const isGood = await run();
  process.exitCode = interrupted === null ? (isGood ? 0 : 1) : 128 + constants.signals[interrupted];
}
