// npm run bench: Leasehold, what else there is, and the floor, side by side in one run. bench/README.md says what is measured, and how.
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { runToEnd } from "../test/support/run-to-end.js";
import { help, parseBenchArguments } from "./arguments.js";
import { checkBounds } from "./bounds.js";
import { Entrants, peerNames } from "./entrants.js";
import { aboutRun, processors } from "./machine.js";
import { type LeftOut, type Results, type Row, toBoundsTable, toTable } from "./results.js";
import { workloads } from "./workloads/all.js";
import { fullScale, quickScale } from "./workloads/workload.js";

const known = { workloads: workloads.map(({ name }) => name), peers: peerNames };
const args = parse();
if (args.isHelp) {
  console.log(help);
  for (const { name, about } of workloads) console.log(`  ${name.padEnd(22)} ${about}`);
  console.log(`\n  peers: ${peerNames.join(", ")}`);
} else {
  await runToEnd(run);
}

async function run(interrupted: AbortSignal): Promise<boolean> {
  const started = performance.now();
  const [load = 0] = loadavg();
  if (load > 1) {
    console.log(`other processes keep this machine busy (load ${load.toFixed(1)}): believe the ratios, not the rates`);
  }
  const entrants = await Entrants.start(args);
  const rows: Row[] = [];
  const failures: LeftOut[] = [];
  const scale = args.isQuick ? quickScale : fullScale;
  for (const workload of workloads) {
    if (args.only !== null && !args.only.includes(workload.name)) continue;
    const from = performance.now();
    console.log(`\n## ${workload.name}: ${workload.about}`);
    try {
      await workload.run(entrants, scale, (found) => {
        rows.push(...found);
        console.log(`\n${toTable(found)}`);
      });
    } catch (error) {
      if (interrupted.aborted) throw error;
      // The others are still worth having.
      console.error(error);
      failures.push({ what: workload.name, why: error instanceof Error ? error.message : String(error) });
    }
    console.log(`\n(${((performance.now() - from) / 1_000).toFixed(0)} s)`);
  }
  const bounds = checkBounds(rows);
  console.log(`\n${toBoundsTable(bounds)}\n`);
  const leftOut = [...entrants.leftOut, ...failures];
  for (const { what, why } of leftOut) console.log(`left out: ${what}: ${why}`);
  console.log(`in all ${((performance.now() - started) / 1_000).toFixed(0)} s`);
  const results: Results = { about: { ...about(), loadBefore: load, ...entrants.about }, leftOut, rows, bounds };
  if (args.json !== null) writeFileSync(args.json, `${JSON.stringify(results, rounded, 1)}\n`);
  return failures.length === 0;
}

function parse() {
  try {
    return parseBenchArguments(process.argv.slice(2), known);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`);
    process.exit(2);
  }
}

function about(): Results["about"] {
  return { ...aboutRun(), machine: processors(), isQuick: args.isQuick };
}

/** Five digits are more than any of it is good for. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === "number" ? Number(value.toPrecision(5)) : value;
}
