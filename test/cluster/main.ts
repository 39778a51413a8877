// npm run cluster: what a real failover costs, and whether every promise is kept over it.
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { compileSources } from "../support/compiled.js";
import { randomFrom } from "../support/random.js";
import { runToEnd } from "../support/run-to-end.js";
import { type ClusterArguments, help, parseClusterArguments } from "./arguments.js";
import { HighlyAvailable, NotInOrder } from "./cluster.js";
import { type Fault, faults } from "./faults.js";
import type { Mode } from "./history.js";
import type { FaultReport } from "./measure.js";
import { findPrograms, type Programs } from "./programs.js";
import { summaryOf, tableOf, writeInto } from "./report.js";
import { runFault } from "./run.js";

const guide = fileURLToPath(new URL("../../docs/guides/high-availability.md", import.meta.url));

const [chosen, programs] = orExplain(() => {
  const chosen = parseClusterArguments(
    process.argv.slice(2),
    faults.map(({ name }) => name),
  );
  if (chosen.isHelp) {
    console.log(help.replace("FAULTS", faults.map(({ name, what }) => `      ${name.padEnd(16)}${what}`).join("\n")));
    process.exit(0);
  }
  return [chosen, findPrograms()];
});

await runToEnd(() => run(chosen, programs));

async function run({ modes, faults: names, seed, isToBeWritten }: ClusterArguments, from: Programs): Promise<boolean> {
  const since = performance.now();
  const [, load = 0] = loadavg();
  console.log(`--seed ${seed}`);
  const removeSources = await compileSources();
  const reports: FaultReport[] = [];
  for (const mode of modes) {
    const random = randomFrom(seed);
    for (const name of names) {
      const fault = faults.find((one) => one.name === name) as Fault;
      console.log(`${mode}: ${fault.what} ...`);
      const report = await runOnce(from, mode, fault, random).catch((error) => {
        if (!(error instanceof NotInOrder)) throw error;
        console.log(`${error.message}\nThis cluster did not come into order by itself. Once more, with a new one ...`);
        return runOnce(from, mode, fault, random);
      });
      reports.push(report);
      for (const violation of report.violations.slice(0, 20)) console.log(`FAIL  ${violation}`);
      console.log(tableOf([report]).split("\n")[2]);
    }
  }
  await removeSources();
  const isKept = reports.every(({ violations }) => violations.length === 0);
  const about = `${availableParallelism()} processors, load ${load.toFixed(0)} to ${(loadavg()[1] ?? 0).toFixed(0)}`;
  const text = `${tableOf(reports)}\n\n${summaryOf(reports, (performance.now() - since) / 60_000, about)}`;
  console.log(`\n${text}`);
  if (isToBeWritten) writeFileSync(guide, writeInto(readFileSync(guide, "utf8"), text));
  if (!isKept) console.log(`It was --seed ${seed}.`);
  return isKept;
}

/** In a cluster of its own, so that no fault depends on how well Patroni has mended the one before. */
async function runOnce(from: Programs, mode: Mode, fault: Fault, random: () => number): Promise<FaultReport> {
  await using cluster = await HighlyAvailable.start(from, mode);
  return await runFault(cluster, fault, random);
}

function orExplain<T>(get: () => T): T {
  try {
    return get();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  }
}
