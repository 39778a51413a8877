// What it costs to hold many locks for a long time.
import { setTimeout as sleep } from "node:timers/promises";
import { withCrews } from "../crew.js";
import { processorTimeUs } from "../processor-time.js";
import type { Row } from "../results.js";
import type { Workload } from "./workload.js";

const LOCKS = 10_000;
/** A third of the default TTL of 30 s: in each such time all locks are renewed once. */
const PERIOD_MS = 10_000;

export const KEEP_ALIVE = `${LOCKS.toLocaleString("en-US")} locks held, TTL 30 s`;

export const keepAlive: Workload = {
  name: "keep-alive",
  about: "processor time of client and server while one process holds 10,000 locks",
  async run(entrants, { isQuick }, report) {
    const rows: Row[] = [];
    for (const entrant of entrants.leaseholds) {
      await withCrews([entrant], 1, async ([crew]) => {
        const worker = crew?.workers[0];
        if (worker === undefined) return;
        await worker.request("hold", { prefix: "kept", count: LOCKS });
        await sleep(PERIOD_MS / 4);
        // Until its code is compiled, and its heap as large as it needs to be.
        await sleep(isQuick ? 0 : 3 * PERIOD_MS);
        const samples: { client: number; server: number }[] = [];
        for (let period = 0; period < (isQuick ? 1 : 3); period += 1) {
          const [server, client] = [processorTimeUs(entrant.serverPids), await worker.request<number>("processorUs")];
          const from = performance.now();
          await sleep(PERIOD_MS);
          const percent = (us: number) => us / 10 / (performance.now() - from);
          samples.push({
            client: percent((await worker.request<number>("processorUs")) - client),
            server: percent(processorTimeUs(entrant.serverPids) - server),
          });
        }
        const mean = (of: "client" | "server") => samples.reduce((sum, one) => sum + one[of], 0) / samples.length;
        rows.push({
          workload: "keep-alive",
          case: KEEP_ALIVE,
          contender: entrant.name,
          unit: "% of one processor",
          isMoreBetter: false,
          samples: samples.map(({ client, server }) => client + server),
          also: { "client %": mean("client"), "server %": mean("server") },
        });
      });
    }
    report(rows);
  },
};
