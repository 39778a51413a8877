// Whether a session was dead at a moment, as far as its rows tell.
import type { GrantRow, SessionRow } from "./entries.js";
import type { History } from "./history.js";
import { SLACK } from "./times.js";

export type Life =
  | { readonly is: "dead"; readonly row: SessionRow }
  /** `row`: the heartbeat that shows it; undefined: the session has no row, so nobody can know that it is dead. */
  | { readonly is: "alive"; readonly row: SessionRow | undefined }
  | { readonly is: "unknown" };

/** Of the session of a lease, at a moment of the server. Only a heartbeat that is older than the lease's delay makes it dead. */
export function lifeOf(
  { sessions, faults, times, round }: History,
  lease: GrantRow,
  moment: number,
  node: string,
): Life {
  if (sessions.size === 0 && lease.sessionId !== null) return { is: "unknown" };
  if (lease.sessionId === null || lease.takeoverMs === null) return { is: "alive", row: undefined };
  // a server that was promoted has none of the rows of the one before
  const rows = (sessions.get(lease.sessionId) ?? []).filter((row) => row.node === node);
  const last = rows.findLast(({ at }) => at <= moment);
  if (last === undefined) return { is: "alive", row: undefined };
  if (last.op === "D") return { is: "alive", row: last };
  const since = times.monotonic(last.at, node);
  const until = times.monotonic(moment, node);
  const isForgotten = faults.some(({ begin, until: end }) => {
    return (
      begin.fault === "crash" && since !== null && until !== null && since < begin.t - SLACK && end < until - SLACK
    );
  });
  if (isForgotten) return { is: "alive", row: undefined };
  if (last.seenAt + lease.takeoverMs * 1_000 > moment) return { is: "alive", row: last };
  // Its backend kept the advisory lock all the time: there is no other way to a later heartbeat from the same one.
  const later = rows.find(({ at, op, pid }) => at > moment && op === "U" && pid === last.pid);
  if (later === undefined) return { is: "dead", row: last };
  // Or PgBouncer has cleaned it when its client was gone, and then given it to the same client again.
  return round?.scene === "session-pooled" ? { is: "unknown" } : { is: "alive", row: later };
}
