// Bytes of the client's heap for each lock that is held, and for each call that waits.
import { Crew } from "../crew.js";
import type { Entrant } from "../entrants.js";
import type { Row } from "../results.js";
import { isQueued } from "./takeover.js";
import type { Workload } from "./workload.js";

const HELD = 10_000;
const WAITERS = 2_000;

export const memory: Workload = {
  name: "memory",
  about: "bytes of the client's heap, after a collection of garbage",
  async run(entrants, { isQuick }, report) {
    const redlock = entrants.peers.filter(({ name }) => name === "redlock");
    const repeat = async (measure: () => Promise<number>) => {
      const samples: number[] = [];
      for (let round = 0; round < (isQuick ? 1 : 3); round += 1) samples.push(await measure());
      return samples;
    };
    const rowOf = (of: string, contender: string, samples: readonly number[]): Row => ({
      ...{ workload: "memory", case: of, contender, unit: "bytes", isMoreBetter: false, samples },
    });
    const held: Row[] = [];
    let number = 0;
    for (const entrant of [...entrants.leaseholds, ...redlock]) {
      const samples = await repeat(() => perHeld(entrant, `memory-${number++}`));
      held.push(rowOf(`a lock that is held, of ${HELD.toLocaleString("en-US")}`, entrant.name, samples));
    }
    report(held);
    const waiting: Row[] = [];
    for (const entrant of entrants.leaseholds) {
      const samples = await repeat(() => perWaiter(entrant, entrant.spec.url, `memory-${number++}`));
      waiting.push(rowOf(`a call that waits, of ${WAITERS.toLocaleString("en-US")}`, entrant.name, samples));
    }
    report(waiting);
  },
};

async function perHeld(entrant: Entrant, prefix: string): Promise<number> {
  await using crew = await Crew.start(entrant);
  const [worker] = crew.workers;
  if (worker === undefined) return Number.NaN;
  // what the first lock brings with it is not counted
  await worker.request("hold", { prefix: `${prefix}-first`, count: 500 });
  const before = await worker.request<number>("heap");
  await worker.request("hold", { prefix, count: HELD });
  return ((await worker.request<number>("heap")) - before) / HELD;
}

async function perWaiter(entrant: Entrant, url: string, key: string): Promise<number> {
  await using holder = await Crew.start(entrant);
  await using crew = await Crew.start(entrant);
  const [[holding], [worker]] = [holder.workers, crew.workers];
  if (holding === undefined || worker === undefined) return Number.NaN;
  await holding.request("hold", { prefix: key, count: 1 });
  await worker.request("wait", { key: `${key}:0`, count: 100 });
  await isQueued(url, `${key}:0`, 100);
  const before = await worker.request<number>("heap");
  await worker.request("wait", { key: `${key}:0`, count: WAITERS });
  await isQueued(url, `${key}:0`, 100 + WAITERS);
  return ((await worker.request<number>("heap")) - before) / WAITERS;
}
