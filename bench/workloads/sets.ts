// What several keys at once cost beside one: acquired and released by one process, one call after the other.
import { ratio } from "../statistics.js";
import { importBuild } from "./guarded-transactions.js";
import { inTurns, type Workload } from "./workload.js";

const KEYS = 20;

export const setCase = (keys: number): string => `${keys} free keys`;
export const SET_OF_MANY = setCase(KEYS);
export const SET_OF_ONE = "one key, by acquire";

export const sets: Workload = {
  name: "sets",
  about: "acquireAll of 20 free keys, beside acquire of one; the time until all are granted",
  async run(entrants, { isQuick }, report) {
    const [rounds, perRound] = isQuick ? [7, 50] : [20, 200];
    for (const build of await entrants.databasesFor("sets")) {
      const { createLocker } = await importBuild(build);
      await using locker = createLocker({ url: build.spec.url });
      if (typeof locker.acquireAll !== "function") continue; // an older build
      const keys = Array.from({ length: KEYS }, (_, index) => `set:${index}`);
      const kinds = [
        { name: SET_OF_ONE, acquire: () => locker.acquire("one") },
        { name: SET_OF_MANY, acquire: () => locker.acquireAll(keys) },
      ];
      const results = await inTurns(kinds, rounds, async (kind) => {
        let sumMs = 0;
        for (let count = 0; count < perRound; count += 1) {
          const start = performance.now();
          const hold = await kind.acquire();
          sumMs += performance.now() - start;
          await hold.release();
        }
        return sumMs / perRound;
      });
      for (const [index, { name }] of kinds.entries()) {
        const samples = results[index] ?? [];
        const also = { "to one key": ratio(samples, results[0] ?? []) };
        report([
          { workload: this.name, case: name, contender: build.name, unit: "ms", isMoreBetter: false, samples, also },
        ]);
      }
    }
  },
};
