// What it costs the client to find the instance of a key, in processor time. Measured on the part itself: too little to show beside a cycle.
import { randomUUID } from "node:crypto";
import { Router } from "../../src/instances/router.js";
import type { Workload } from "./workload.js";

const KEYS = 1_024;

export const routingCase = (instances: number): string => `${instances} instances`;
export const ROUTING = routingCase(8);

export const routing: Workload = {
  name: "routing",
  about: "what finding a key's instance takes the client, of 2, 8 and 32",
  async run(_, { isQuick }, report) {
    const keys = Array.from({ length: KEYS }, (__, index) =>
      index % 2 === 0 ? `order:${index}` : `job:${randomUUID()}`,
    );
    const callsPerRound = isQuick ? 200_000 : 1_000_000;
    for (const instances of [2, 8, 32]) {
      const names = Array.from({ length: instances }, (__, index) => `shard-${index}`);
      const router = new Router(names.map((name, index) => ({ name, weight: 1 + (index % 3), target: index })));
      const samples: number[] = [];
      let sum = 0; // what nobody uses might not be computed
      for (let round = -2; round < (isQuick ? 3 : 6); round += 1) {
        const start = process.cpuUsage();
        for (let call = 0; call < callsPerRound; call += 1) sum += router.of(keys[call % KEYS] ?? "");
        const { user, system } = process.cpuUsage(start);
        if (round >= 0) samples.push((user + system) / callsPerRound);
      }
      if (sum === 0) throw new Error("every key went to the first instance");
      const row = {
        workload: this.name,
        case: routingCase(instances),
        contender: "leasehold",
        unit: "client µs",
        isMoreBetter: false,
      };
      report([{ ...row, samples }]);
    }
  },
};
