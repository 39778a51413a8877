// Whether a position costs more the longer the queue is.
import { Crew } from "../crew.js";
import { isQueued } from "./takeover.js";
import { inTurns, type Workload } from "./workload.js";

export const queueCase = (length: number) => `a queue of ${length.toLocaleString("en-US")}`;

export const queue: Workload = {
  name: "queue",
  about: "waiters of one process on one key, each of which releases at once: how many are served a second",
  async run(entrants, { isQuick }, report) {
    let number = 0;
    for (const length of isQuick ? [100, 1_000] : [100, 10_000]) {
      const serve = async (build: (typeof entrants.leaseholds)[number]): Promise<number> => {
        const prefix = `queue-${number++}`;
        await using holder = await Crew.start(build);
        await using crew = await Crew.start(build);
        const [[holding], [worker]] = [holder.workers, crew.workers];
        if (holding === undefined || worker === undefined) throw new Error("a crew without a worker");
        await holding.request("hold", { prefix, count: 1 });
        const queued = { key: `${prefix}:0`, count: length };
        const answer = worker.request<{ servedAt: number[]; isInOrder: boolean }>("queue", queued, {
          timeoutMs: 300_000,
        });
        await isQueued(build.spec.url, queued.key, length);
        await holding.request("release");
        const { servedAt, isInOrder } = await answer;
        if (!isInOrder) throw new Error(`${build.name}: a queue of ${length} was not served in order`);
        return ((servedAt.length - 1) * 1_000) / ((servedAt.at(-1) ?? 0) - (servedAt[0] ?? 0));
      };
      const results = await inTurns(entrants.leaseholds, isQuick ? 1 : 3, serve, 0);
      report(
        entrants.leaseholds.map(({ name }, index) => ({
          workload: this.name,
          case: queueCase(length),
          contender: name,
          unit: "served/s",
          isMoreBetter: true,
          samples: results[index] ?? [],
        })),
      );
    }
  },
};
