import { withCrews } from "../crew.js";
import { measureRates, type Workload } from "./workload.js";

const IN_FLIGHT = [1, 16, 128, 1_024];

export const uncontendedCase = (inFlight: number, processes: number) =>
  `${inFlight.toLocaleString("en-US")} in flight, ${processes === 1 ? "1 process" : `${processes} processes`}`;

export const uncontended: Workload = {
  name: "uncontended",
  about: "cycles of acquire and release of free keys, each worker on a key of its own",
  async run(entrants, { windowMs, rounds, coldRounds, isQuick }, report) {
    const floors = [
      entrants.floor("two commits", "both"),
      entrants.floor("durable update", "durable"),
      entrants.floor("asynchronous update", "asynchronous"),
      entrants.floor("select 1", "select"),
    ];
    await withCrews([...entrants.leaseholds, ...entrants.peers, ...floors], 1, async (crews) => {
      for (const inFlight of IN_FLIGHT) {
        const of = uncontendedCase(inFlight, 1);
        const able = crews.filter(({ entrant }) => entrant.mostInFlight >= inFlight);
        const warmUps = inFlight === 1 ? coldRounds : 1;
        report(await measureRates(this.name, of, able, rounds, (crew) => crew.window(inFlight, windowMs), warmUps));
      }
    });
    if (isQuick) return;
    const few = entrants.peers.filter(({ name }) => ["redlock", "redlock-fsync", "etcd3"].includes(name));
    await withCrews([...entrants.leaseholds, ...few], 4, async (crews) => {
      for (const inFlight of [4, 16, 128, 1_024]) {
        const of = uncontendedCase(inFlight, 4);
        const warmUps = inFlight === 4 ? coldRounds : 1;
        report(await measureRates(this.name, of, crews, rounds, (crew) => crew.window(inFlight, windowMs), warmUps));
      }
    });
  },
};
