// What it costs the client to count a cycle of acquire and release. Measured on the parts themselves: too little to show beside a cycle.
import { Claim, type ClaimContext } from "../../src/claim/claim.js";
import type { ResolvedAcquireOptions } from "../../src/config/resolve-options.js";
import { Flushing } from "../../src/locker/flushing.js";
import { Counters } from "../../src/observe/counters/counters.js";
import { prefixBy } from "../../src/observe/counters/prefixes.js";
import { type ObservedLease, Observers } from "../../src/observe/observer.js";
import { Activity } from "../../src/runtime/activity.js";
import { elapsedMs, systemClock } from "../../src/runtime/clock.js";
import type { Backend } from "../../src/store/backend.js";
import type { Workload } from "./workload.js";

const KEYS = 1_024;

export const counting: Workload = {
  name: "counting",
  about: "what counting a cycle takes the client, without all else",
  async run(_, { isQuick }, report) {
    const count = prepare();
    const cyclesPerRound = isQuick ? 100_000 : 1_000_000;
    const samples: number[] = [];
    for (let round = 0; round < (isQuick ? 4 : 7); round += 1) {
      const start = performance.now();
      for (let cycle = 0; cycle < cyclesPerRound; cycle += 1) count.cycle(cycle);
      samples.push(((performance.now() - start) * 1_000) / cyclesPerRound);
    }
    count.end();
    const row = {
      workload: this.name,
      case: "one cycle",
      contender: "leasehold",
      unit: "client µs",
      isMoreBetter: false,
    };
    report([{ ...row, samples: samples.slice(1) }]);
  },
};

function prepare(): { cycle(number: number): void; end(): void } {
  // Neither is asked for anything: nothing is flushed, nothing is acquired.
  const backend = { databaseId: null, clock: systemClock } as Backend;
  const observers = new Observers();
  const onError = () => undefined;
  const counters = new Counters({
    clock: systemClock,
    prefixOf: prefixBy({ prefix: "", statsPrefix: null }, onError),
    onCount: () => flushing.schedule(),
  });
  const flushing = new Flushing({
    counters,
    backend,
    activity: new Activity(systemClock, Number.POSITIVE_INFINITY, () => undefined),
    everyMs: 600_000,
    onError,
  });
  observers.add(counters);
  const terms = { ttlMs: 30_000, waitMs: 0 } as ResolvedAcquireOptions;
  const context = { backend } as ClaimContext; // nothing is sent
  const claims = Array.from({ length: KEYS }, (_, key) => new Claim(context, `bench:${key}`, terms));
  return {
    cycle(number) {
      const claim = claims[number % KEYS] as Claim;
      observers.acquireEnded(claim, "granted", elapsedMs(claim.startedAt), null, null);
      observers.released({} as ObservedLease, elapsedMs(claim.startedAt));
    },
    end: () => flushing.pause(),
  };
}
