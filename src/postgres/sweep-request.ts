import type { SweepBatch } from "../store.js";
import type { Lane } from "./lane.js";
import { SWEEP } from "./statements.js";

/** One batch, unless somebody else did one less than `quietMs` ago. */
export async function sweepBatch(lane: Lane, quietMs: number): Promise<SweepBatch> {
  const [row = {}] = (await lane.query(SWEEP, [quietMs])).rows;
  return {
    woken: Number(row.woken),
    leasesPurged: Number(row.leases),
    waitersPurged: Number(row.waiters),
    sessionsPurged: Number(row.sessions),
    countersPurged: Number(row.counters),
    isBusy: row.busy === true,
    hasMore: row.more === true,
  };
}
