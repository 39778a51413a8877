// What a guard costs: the same transaction with and without one, side by side in one run, over every library.
//   npm run bench:guards [-- --transactions=1000] [--network-ms=0]
import { parseArgs } from "node:util";
import { createLocker } from "../src/index.js";
import { startCluster } from "../test/support/cluster.js";
import { startProxy } from "../test/support/proxy.js";
import { libraries, type Opened, type Run } from "../test/transactions/libraries.js";

const { values } = parseArgs({
  options: { transactions: { type: "string", default: "1000" }, "network-ms": { type: "string", default: "0" } },
});
const ROUNDS = 20;
const perRound = Math.max(1, Math.round(Number(values.transactions) / ROUNDS));

const write = (run: Run) => run("update counters set n = n + 1 where id = 1");

await using cluster = await startCluster();
const sql = await cluster.sql();
await using proxy = await startProxy(cluster.url);
await using locker = createLocker({ url: cluster.url });
await locker.migrate();
await sql`create table counters as select 1 as id, 0 as n`;
await using lock = await locker.acquire("bench", { ttlMs: 600_000 });

console.log(
  `one update per transaction, one at a time; ${perRound * ROUNDS} of each kind, in ${ROUNDS} rounds of both`,
);
console.log(`network: ${values["network-ms"]} ms more each way; messages: those the client waits for\n`);
console.log(`${"".padEnd(28)}plain      guarded    ratio   messages`);

for (const library of libraries) {
  await using opened = library.open(Number(values["network-ms"]) > 0 ? proxy.url(cluster.url) : cluster.url);
  const plain = () => opened.plain(write);
  const guarded = () => opened.guarded(lock, write);
  const messages = await countMessages(library.open(proxy.url(cluster.url)), (counted) => [
    () => counted.plain(write),
    () => counted.guarded(lock, write),
  ]);
  proxy.delayMs.toServer = proxy.delayMs.toClient = Number(values["network-ms"]);
  const times: [plain: number, guarded: number][] = [];
  for (let round = -1; round < ROUNDS; round += 1) {
    const both: [number, number] = [await time(plain), await time(guarded)];
    if (round >= 0) times.push(both); // the first one warms up
  }
  proxy.delayMs.toServer = proxy.delayMs.toClient = 0;
  const [plainMs, guardedMs] = [median(times.map(([ms]) => ms)), median(times.map(([, ms]) => ms))];
  const ratio = median(times.map(([ms, withGuard]) => withGuard / ms));
  const cell = (ms: number) => `${ms.toFixed(3)} ms`.padEnd(11);
  console.log(`${library.name.padEnd(28)}${cell(plainMs)}${cell(guardedMs)}${ratio.toFixed(2).padEnd(8)}${messages}`);
}

/** Milliseconds of one transaction. */
async function time(transaction: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  for (let count = 0; count < perRound; count += 1) await transaction();
  return (performance.now() - start) / perRound;
}

async function countMessages(opened: Opened, kinds: (opened: Opened) => (() => Promise<unknown>)[]): Promise<string> {
  await using counted = opened;
  const counts: number[] = [];
  for (const transaction of kinds(counted)) {
    await transaction();
    proxy.statements.length = 0;
    await transaction();
    counts.push(proxy.statements.length);
  }
  return counts.join(" and ");
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}
