// npm run stress:guards -- --seconds 600 --seed 42: the test of random.test.ts for as long as you like. The exit code says
// whether everything added up. A seed repeats what is drawn, the moments of a fault included; not how the processes are scheduled.
import { parseArgs } from "node:util";
import { startCluster } from "../support/cluster.js";
import { runToEnd } from "../support/run-to-end.js";
import { causeChaos, clusterSettings } from "./chaos.js";

const { values } = parseArgs({ options: { seconds: { type: "string" }, seed: { type: "string" } } });
const seconds = Number(values.seconds ?? 60);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
if (!(seconds > 0) || !Number.isSafeInteger(seed)) {
  console.error("usage: npm run stress:guards -- [--seconds <number>] [--seed <integer>]");
  process.exit(2);
}

async function run(): Promise<boolean> {
  console.log(`${seconds} s with --seed ${seed}`);
  const cluster = await startCluster({ settings: clusterSettings });
  let saidAt = 0;
  const onProgress = (text: string): void => {
    if (performance.now() - saidAt < 5_000) return;
    saidAt = performance.now();
    console.log(text);
  };
  const { violations, ...seen } = await causeChaos({ cluster, seed, seconds, onProgress });
  console.log(seen);
  for (const violation of violations) console.log(`FAIL  ${violation}`);
  console.log(violations.length === 0 ? "No stale write, and none lost." : `It was --seed ${seed}.`);
  return violations.length === 0;
}

await runToEnd(run);
