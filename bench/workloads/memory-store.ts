// What the locker itself takes for a lock: over the memory store nothing is sent. With `--against`, the other build needs that store, too.
import { withCrews } from "../crew.js";
import { uncontendedCase } from "./uncontended.js";
import { measureRates, type Workload } from "./workload.js";

const IN_FLIGHT = [1, 16, 128];

export const MEMORY_STORE = uncontendedCase(16, 1);

export const memoryReadsCase = (inFlight: number) => `${inFlight} in flight, read locks on one key`;

export const memoryStore: Workload = {
  name: "memory-store",
  about:
    "cycles of acquire and release over the memory store: each worker on a key of its own; all with read locks on one key",
  async run(entrants, { windowMs, rounds, coldRounds }, report) {
    const lockers = entrants.leaseholds.map(({ spec: { entry }, ...entrant }) => ({
      ...entrant,
      serverPids: [],
      spec: { kind: "memory-store" as const, entry },
    }));
    await withCrews(lockers, 1, async (crews) => {
      for (const inFlight of IN_FLIGHT) {
        const of = uncontendedCase(inFlight, 1);
        const warmUps = inFlight === 1 ? coldRounds : 1;
        report(await measureRates(this.name, of, crews, rounds, (crew) => crew.window(inFlight, windowMs), warmUps));
      }
    });
    // This build alone: others may not know read locks.
    const readers = lockers
      .slice(0, 1)
      .map((entrant) => ({ ...entrant, spec: { ...entrant.spec, reads: "read:key" } }));
    await withCrews(readers, 1, async (crews) => {
      for (const inFlight of IN_FLIGHT) {
        const of = memoryReadsCase(inFlight);
        const warmUps = inFlight === 1 ? coldRounds : 1;
        report(await measureRates(this.name, of, crews, rounds, (crew) => crew.window(inFlight, windowMs), warmUps));
      }
    });
  },
};
