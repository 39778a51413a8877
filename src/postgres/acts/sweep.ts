import type { SweepBatch } from "../../store/messages.js";
import type { Lane } from "../connection/lane.js";

export const SWEEP: string = `select woken, leases_purged as leases, waiters_purged as waiters, sessions_purged as sessions,
    counters_purged as counters, is_busy as busy, has_more as more
  from leasehold_internal.sweep($1::int)`;

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
