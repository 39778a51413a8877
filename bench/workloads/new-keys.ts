import { withCrews } from "../crew.js";
import { measureRates, type Workload } from "./workload.js";

export const newKeysCase = (inFlight: number) => `${inFlight} in flight`;

export const newKeys: Workload = {
  name: "new-keys",
  about: "cycles on keys that were never seen before, each of which is a new row",
  async run(entrants, { windowMs, rounds, isQuick }, report) {
    const names = isQuick ? ["redlock"] : ["redlock", "redlock-fsync", "etcd3", "advisory-lock"];
    const peers = entrants.peers.filter(({ name }) => names.includes(name));
    await withCrews([...entrants.leaseholds, ...peers], 1, async (crews) => {
      for (const inFlight of [1, 128]) {
        const window = { kind: "fresh", prefix: `new:${inFlight}` } as const;
        const of = newKeysCase(inFlight);
        report(await measureRates(this.name, of, crews, rounds, (crew) => crew.window(inFlight, windowMs, window)));
      }
    });
  },
};
