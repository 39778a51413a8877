// How long after a SIGKILL of the holder the next one has the lock.
import { setTimeout as sleep } from "node:timers/promises";
import { openClient } from "../../test/support/client.js";
import { until } from "../../test/support/until.js";
import { Crew, withCrews } from "../crew.js";
import { inTurns, type Workload } from "./workload.js";

const KEY = "takeover:0";

export const TAKEOVER = "after SIGKILL, takeoverDelayMs 0";

export const takeover: Workload = {
  name: "takeover",
  about: "from SIGKILL of the holder to the grant of the process that waits behind it",
  async run(entrants, { isQuick }, report) {
    const leaseholds = await entrants.databasesFor("takeover", { takeoverDelayMs: 0 });
    // Those that notice the end of a connection. The others wait for the end of a TTL.
    const noticing = isQuick ? [] : ["advisory-lock", "table-lock"];
    const peers = entrants.peers.filter(({ name }) => noticing.includes(name));
    await withCrews([...leaseholds, ...peers], 1, async (waiters) => {
      const take = async (waiter: Crew): Promise<number> => {
        await using holder = await Crew.start(waiter.entrant);
        await holder.workers[0]?.request("hold", { prefix: "takeover", count: 1 });
        const granted =
          waiter.workers[0]?.request<number>("waitFor", { key: KEY }) ?? Promise.reject(new Error("no worker"));
        const { spec } = waiter.entrant;
        if (spec.kind === "leasehold") await isQueued(spec.url, KEY, 1);
        // At any moment of what the waiter does at intervals.
        await sleep(100 + Math.random() * 1_000);
        const killedAt = Number(process.hrtime.bigint()) / 1e6;
        await Promise.all(holder.workers.map((worker) => worker.kill("SIGKILL")));
        return (await granted) - killedAt;
      };
      const results = await inTurns(waiters, isQuick ? 4 : 12, take, 0);
      report(
        waiters.map((waiter, index) => ({
          workload: "takeover",
          case: TAKEOVER,
          contender: waiter.name,
          unit: "ms",
          isMoreBetter: false,
          samples: results[index] ?? [],
          also: { "longest ms": Math.max(...(results[index] ?? [])) },
        })),
      );
    });
  },
};

/** Until so many wait for the key in the database of a build. */
export async function isQueued(url: string, key: string, count: number): Promise<void> {
  const sql = await openClient(url);
  try {
    await until(`${count} wait for ${key}`, async () => {
      const [row] = await sql`select count(*)::int as waiting from leasehold.waiters where key = ${key}`;
      return row?.waiting >= count;
    });
  } finally {
    await sql.end({ timeout: 1 });
  }
}
