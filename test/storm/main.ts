// npm run storm -- --tear-downs 10000 --transport tls --seed 42: the test of storm.test.ts for as long as you like. The exit code
// says whether all held. A seed repeats what is drawn; not how the processes are scheduled.
import "../support/watch.js";
import { parseArgs } from "node:util";
import { runToEnd } from "../support/run-to-end.js";
import { startStormServer } from "./server.js";
import { storm, type Transport } from "./storm.js";

const all: readonly Transport[] = ["tcp", "unix", "tls"];
const { values } = parseArgs({
  options: {
    "tear-downs": { type: "string" },
    transport: { type: "string" },
    seed: { type: "string" },
    parallel: { type: "string" },
  },
});
const tearDowns = Number(values["tear-downs"] ?? 1_000);
const transports = all.filter((one) => values.transport === undefined || values.transport === one);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
const parallel = Number(values.parallel ?? 24);
if (!(tearDowns > 0) || !(parallel > 0) || transports.length === 0 || !Number.isSafeInteger(seed)) {
  console.error(
    "usage: npm run storm -- [--tear-downs <number>] [--transport tcp|unix|tls] [--seed <integer>] [--parallel <number>]",
  );
  process.exit(2);
}

async function run(): Promise<boolean> {
  await using server = await startStormServer();
  let isCalm = true;
  for (const transport of transports) {
    const since = performance.now();
    const onProgress = (done: number): void => {
      if (done % 1_000 === 0) console.log(`${transport}: ${done} tear-downs`);
    };
    const report = await storm({ server, transport, tearDowns, seed, parallel, onProgress });
    const { faults, statements, answered } = report;
    const seconds = ((performance.now() - since) / 1_000).toFixed(1);
    console.log(
      `Node ${process.versions.node}, ${transport}: ${tearDowns} tear-downs, ${statements} statements, ${answered} answered, ${faults.length} faults, ${seconds} s, --seed ${seed}`,
    );
    for (const fault of faults.slice(0, 20)) console.log(`FAIL  ${fault}`);
    isCalm &&= faults.length === 0;
  }
  return isCalm;
}

await runToEnd(run);
