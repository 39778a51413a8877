// npm run soak:ui -- --minutes 10: a page that stays open under a thousand changing keys, and whether it needs more and more. The exit code says so.
import "../../support/watch.js";
import { parseArgs } from "node:util";
import { createLocker } from "../../../src/index.js";
import { startCluster } from "../../support/cluster.js";
import { migrate } from "../../support/migrate.js";
import { runToEnd } from "../../support/run-to-end.js";
import { findBrowser, launch, OpenPage } from "../support/browser.js";
import { serveInspector } from "../support/serve.js";
import { KEYS, most, type Sample, watchPage } from "./watch-page.js";

/** What may be added after the first two minutes: the charts keep a point a second, for an hour. */
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
  const browser = await launch(program);
  await using _closing = { [Symbol.asyncDispose]: () => browser.close() };
  await using opened = await OpenPage.open(browser, `${served.url}/`);
  console.log(`${KEYS} keys change hands every second, for ${minutes} minutes`);
  const samples = await watchPage(opened.page, locker, { seconds: minutes * 60, everySeconds: 30, onSample: tell });
  const [early, late] = [most(samples.slice(1, 4)), most(samples.slice(-3))];
  console.log(`heap: ${inMb(early.heapBytes)} in the beginning, ${inMb(late.heapBytes)} at the end`);
  const faults = [...opened.faults];
  const grown = late.heapBytes - early.heapBytes;
  if (grown > MOST_BYTES) faults.push(`the heap has grown by ${inMb(grown)}, more than ${inMb(MOST_BYTES)}`);
  if (late.nodes > early.nodes * 1.5) faults.push(`${early.nodes} nodes became ${late.nodes}`);
  if (!samples.some(({ keys }) => keys > KEYS / 2)) faults.push("the page has seen next to none of the keys");
  for (const fault of faults) console.log(`FAIL  ${fault}`);
  return faults.length === 0;
}

function tell({ atS, heapBytes, nodes, listeners, keys }: Sample): void {
  console.log(
    `${String(atS).padStart(5)} s  heap ${inMb(heapBytes)}  ${nodes} nodes  ${listeners} listeners  ${keys} keys`,
  );
}

function inMb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

await runToEnd(run);
