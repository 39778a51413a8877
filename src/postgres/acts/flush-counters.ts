import { countsByColumn, prefixCountsByColumn } from "../../store/counter-columns.js";
import type { CountersRow } from "../../store/messages.js";
import type { Lane } from "../connection/lane.js";

export const FLUSH_COUNTERS =
  "select leasehold_internal.flush_counters($1::pg_catalog.uuid, $2::int, $3::pg_catalog.text)";

/** By the names of the columns: the server makes a row of it. */
export async function flushCounters(lane: Lane, { id, sequence, counts }: CountersRow): Promise<void> {
  const { waits, holds, prefixes, hotKeys } = counts;
  const row = {
    ...countsByColumn(counts),
    wait_ms: waits.sumMs,
    waits: waits.counts,
    hold_ms: holds.sumMs,
    holds: holds.counts,
    prefixes: prefixes.map((one) => ({
      ...prefixCountsByColumn(one),
      prefix: one.prefix,
      wait_ms: one.waitedMs,
    })),
    hot_keys: hotKeys.map((one) => ({
      key: one.key,
      contended: one.contended,
      contended_at_most: one.contendedAtMost,
      acquired: one.acquired,
      wait_ms: one.waitedMs,
    })),
  };
  await lane.query(FLUSH_COUNTERS, [id, sequence, JSON.stringify(row)]);
}
