// npm run soak:ui -- --minutes 10: a page that stays open under a thousand changing keys, and whether it needs more and more. The exit code says so.
import "../../support/watch.js";
import { parseArgs } from "node:util";
import { createLocker } from "../../../src/index.js";
import { startCluster } from "../../support/cluster.js";
import { migrate } from "../../support/migrate.js";
import { runToEnd } from "../../support/run-to-end.js";
import { findBrowser, OpenPage } from "../support/browser.js";
import { serveInspector } from "../support/serve.js";
import { KEYS, type Sample, watchPage } from "./watch-page.js";

/** What may be added to the first sample after a minute: the charts keep a point a second, for an hour. */
const MOST_BYTES = 2_000_000;

const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" } } });
const minutes = Number(values.minutes);
if (!(minutes >= 2)) {
  console.error("usage: npm run soak:ui -- [--minutes <number, 2 or more>]");
  process.exit(2);
}

async function run(): Promise<boolean> {
  const program = await findBrowser();
  if (program === undefined) throw new Error("there is no browser: install Debian's chromium");
  await using cluster = await startCluster();
  await migrate(cluster.url);
  await using locker = createLocker({ url: cluster.url, presence: "off", keepAlive: false, waitMs: 60_000 });
  await using served = await serveInspector({ url: cluster.url });
  await using opened = await OpenPage.open(program, `${served.url}/`);
  console.log(`${KEYS} keys change hands every second, for ${minutes} minutes`);
  const samples = await watchPage(opened.page, locker, { seconds: minutes * 60, everySeconds: 30, onSample: tell });
  const [first, last] = [samples[1], samples.at(-1)];
  if (first === undefined || last === undefined) throw new Error("there are no samples");
  const grown = last.heapBytes - first.heapBytes;
  console.log(`heap: ${inMb(first.heapBytes)} after a minute, ${inMb(last.heapBytes)} at the end`);
  for (const fault of opened.faults) console.log(`FAIL  ${fault}`);
  if (grown > MOST_BYTES) console.log(`FAIL  the heap has grown by ${inMb(grown)}, more than ${inMb(MOST_BYTES)}`);
  if (last.nodes > first.nodes * 1.5) console.log(`FAIL  ${first.nodes} nodes became ${last.nodes}`);
  return grown <= MOST_BYTES && last.nodes <= first.nodes * 1.5 && opened.faults.length === 0;
}

function tell({ atS, heapBytes, nodes, listeners, rows }: Sample): void {
  console.log(`${String(atS).padStart(5)} s  heap ${inMb(heapBytes)}  ${nodes} nodes  ${listeners} listeners  ${rows}`);
}

function inMb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

await runToEnd(run);
