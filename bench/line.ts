// Waiters of one locker on one key, each holding for 0 ms: how many are served a second in a line of 100, and in one of 10,000. The ratio
// says whether a place costs more the longer the line is. All must be served in order, and none refused.
//
//   npm run bench:line -- [--lines 100,10000] [--rounds 3]
import { parseArgs } from "node:util";
import postgres from "postgres";
import { createLocker } from "../src/index.js";
import { startCluster } from "../test/support/cluster.js";

const { values } = parseArgs({
  options: { lines: { type: "string", default: "100,10000" }, rounds: { type: "string", default: "3" } },
});

interface Run {
  readonly rate: number;
  readonly queuedMs: number;
  readonly failed: number;
  readonly inOrder: boolean;
}

async function serve(url: string, key: string, length: number): Promise<Run> {
  await using locker = createLocker({ url, waitMs: Number.POSITIVE_INFINITY });
  await using holder = createLocker({ url });
  const sql = postgres(url, { max: 1 });
  await locker.ready();
  const held = await holder.acquire(key);
  const fences: bigint[] = [];
  let failed = 0;
  const start = performance.now();
  const wait = async (): Promise<void> => {
    try {
      const lock = await locker.acquire(key);
      fences.push(lock.fence);
      await lock.release();
    } catch (error) {
      failed += 1;
      if (failed === 1) console.error(error);
    }
  };
  const waits: Promise<void>[] = [];
  while (waits.length < length) {
    // no longer than a statement: on a busy machine thousands take longer to ask than a request may
    for (let n = 0; n < 500 && waits.length < length; n += 1) waits.push(wait());
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (;;) {
    const [row] = await sql`select count(*)::int as n from leasehold.waiters where key = ${key}`;
    if (row?.n + failed >= length) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const queuedMs = performance.now() - start;
  await held.release();
  const from = performance.now();
  await Promise.all(waits);
  const ms = performance.now() - from;
  await sql.end();
  return {
    rate: (fences.length * 1_000) / ms,
    queuedMs,
    failed,
    inOrder: fences.every((fence, n) => n === 0 || fence > (fences[n - 1] ?? 0n)),
  };
}

const cluster = await startCluster();
try {
  await using migrator = createLocker({ url: cluster.url });
  await migrator.migrate();
  const lines = values.lines.split(",").map(Number);
  const rates = lines.map((): number[] => []);
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const [index, length] of lines.entries()) {
      // a short line several times, so that both take their measure over some seconds
      const times = length <= 1_000 ? Math.max(1, Math.round(2_000 / length)) : 1;
      for (let time = 0; time < times; time += 1) {
        const run = await serve(cluster.url, `line:${round}:${length}:${time}`, length);
        rates[index]?.push(run.rate);
        if (length > 1_000 || time === 0) {
          console.log(
            `${length} waiters: queued in ${Math.round(run.queuedMs)} ms, ${Math.round(run.rate)} served/s, ${run.failed} failed, ${run.inOrder ? "in order" : "OUT OF ORDER"}`,
          );
        }
      }
    }
  }
  const medians = rates.map((of) => of.toSorted((a, b) => a - b)[of.length >> 1] ?? 0);
  const [first = 1] = medians;
  for (const [index, length] of lines.entries()) {
    const rate = medians[index] ?? 0;
    console.log(`${length}: median ${Math.round(rate)}/s, ${(first / rate).toFixed(2)} times slower than ${lines[0]}`);
  }
} finally {
  await cluster.destroy();
}
