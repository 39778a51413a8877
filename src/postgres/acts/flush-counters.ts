import type { CountersRow } from "../../store/store.js";
import type { Lane } from "../connection/lane.js";

export const FLUSH_COUNTERS =
  "select leasehold_internal.flush_counters($1::pg_catalog.uuid, $2::int, $3::pg_catalog.text)";

/** By the names of the columns: the server makes a row of it. */
export async function flushCounters(lane: Lane, { id, sequence, counts }: CountersRow): Promise<void> {
  const { acquired, refused, timedOut, cancelled, failed, contended, released, renewed, checked, swept, errors } =
    counts;
  const { lost, takenOver, waits, holds, prefixes, hotKeys } = counts;
  const row = {
    acquired,
    refused,
    timed_out: timedOut,
    cancelled,
    failed,
    contended,
    released,
    renewed,
    checked,
    swept,
    errors,
    lost_expired: lost.expired,
    lost_taken: lost.taken,
    lost_max_hold: lost["max-hold"],
    lost_forced: lost.forced,
    taken_over_expired: takenOver.expired,
    taken_over_orphaned: takenOver.orphaned,
    wait_ms: waits.sumMs,
    waits: waits.counts,
    hold_ms: holds.sumMs,
    holds: holds.counts,
    prefixes: prefixes.map((one) => ({
      prefix: one.prefix,
      acquired: one.acquired,
      refused: one.refused,
      timed_out: one.timedOut,
      contended: one.contended,
      taken_over: one.takenOver,
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
