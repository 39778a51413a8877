// What it costs the client to count a cycle of acquire and release, as a part of the processor time that the cycle takes it.
//
//   npm run bench:counting -- [--in-flight 1,16,128,1024] [--seconds 4]
import { parseArgs } from "node:util";
import { Acquisition } from "../src/acquisition.js";
import { elapsedMs } from "../src/clock.js";
import { Counters } from "../src/counters/counters.js";
import { Flushing } from "../src/counters/flushing.js";
import { prefixBy } from "../src/counters/prefixes.js";
import { createLocker } from "../src/index.js";
import type { Lease } from "../src/lease.js";
import { Observers } from "../src/observer.js";
import type { Store } from "../src/store.js";
import { Waiting } from "../src/waiting.js";
import { startCluster } from "../test/support/cluster.js";

const { values } = parseArgs({
  options: { "in-flight": { type: "string", default: "1,16,128,1024" }, seconds: { type: "string", default: "4" } },
});
const KEYS = 1_024;
const CYCLES = 1_000_000;

/** Microseconds for each cycle: what the locker does for its counters, and nothing else. */
function counting(): number {
  // Neither is asked for anything: nothing is flushed, nothing is acquired.
  const store = { place: null } as Store;
  const observers = new Observers();
  const onError = () => undefined;
  const counters = new Counters({
    prefixOf: prefixBy({ prefix: "", statsPrefix: null }, onError),
    onCount: () => flushing.schedule(),
  });
  const flushing = new Flushing({
    counters,
    store,
    activity: { enter: () => () => undefined, stop: () => undefined },
    everyMs: 10_000,
    onError,
  });
  observers.add(counters);
  const waiting = new Waiting(async () => [], 5_000);
  const terms = { ttlMs: 30_000, waitMs: 0 } as ConstructorParameters<typeof Acquisition>[0]["terms"];
  const closed = new AbortController().signal;
  const acquisitions = Array.from(
    { length: KEYS },
    (_, key) => new Acquisition({ store, waiting, key: `bench:${key}`, terms, requestTimeoutMs: 5_000, closed }),
  );
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 7; round += 1) {
    const start = performance.now();
    for (let cycle = 0; cycle < CYCLES; cycle += 1) {
      const acquisition = acquisitions[cycle % KEYS] as Acquisition;
      observers.acquireStarted(acquisition);
      observers.acquireEnded(acquisition, "granted", elapsedMs(acquisition.startedAt), null, null);
      observers.released({} as Lease, elapsedMs(acquisition.startedAt));
    }
    best = Math.min(best, ((performance.now() - start) * 1_000) / CYCLES);
  }
  flushing.pause();
  return best;
}

const cost = counting();
console.log(`counting a cycle: ${cost.toFixed(2)} µs`);
const cluster = await startCluster({ settings: { shared_buffers: "256MB" } });
try {
  const locker = createLocker({ url: cluster.url });
  await locker.migrate();
  for (const inFlight of values["in-flight"].split(",").map(Number)) {
    let cycles = 0;
    const work = async (worker: number, untilMs: number): Promise<void> => {
      while (performance.now() < untilMs) {
        await (await locker.acquire(`bench:${worker}`)).release();
        cycles += 1;
      }
    };
    const run = async (seconds: number): Promise<number> => {
      cycles = 0;
      const before = process.cpuUsage();
      const untilMs = performance.now() + seconds * 1_000;
      await Promise.all(Array.from({ length: inFlight }, (_, worker) => work(worker, untilMs)));
      const { user, system } = process.cpuUsage(before);
      return (user + system) / cycles;
    };
    await run(1); // warms up
    const whole = await run(Number(values.seconds));
    const share = ((100 * cost) / whole).toFixed(2);
    console.log(
      `${inFlight} in flight: a cycle takes the client ${whole.toFixed(1)} µs, of which counting is ${share} %`,
    );
  }
  await locker.close();
} finally {
  await cluster.destroy();
}
