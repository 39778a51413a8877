// What has to be seen in the views before a random play has shown all that there is.
import { shortestCycles } from "./cycles.js";
import type { Picture } from "./oracle.js";
import type { Row, Views } from "./oracle-look.js";

export const all: readonly string[] = [
  "a reader behind a writer",
  "a writer behind readers",
  "believed",
  "exclusive: blocked",
  "exclusive: cooling",
  "exclusive: expired",
  "exclusive: held",
  "exclusive: orphaned",
  "exclusive: over and guarded",
  "exclusive: revoked",
  "exclusive: session false",
  "exclusive: session null",
  "exclusive: session true",
  "exclusive waits for exclusive in a cycle",
  "exclusive waits for shared in a cycle",
  "in the queue",
  "none of a cycle: somebody may make room",
  "one in its minimum hold beside one that is held",
  "one that has ended beside one that is held",
  "passed by",
  "semaphore waits for semaphore in a cycle",
  "several hold",
  "several wait",
  "several weights",
  "share: blocked",
  "share: cooling",
  "share: expired",
  "share: held",
  "share: orphaned",
  "share: over and guarded",
  "share: revoked",
  "share: session false",
  "share: session null",
  "share: session true",
  "shared waits for shared in a cycle",
  "waits for a guard",
  "waits for a guard beside a holder",
  "waits for what is free",
];

/** What is there in one look. `picture` says what is not in the views: who waits for whom. */
export function* statesIn(views: Views, picture: Picture): Generator<string> {
  const kind = ({ mode }: Row) => (mode === "exclusive" ? "exclusive" : "share");
  const held = views.active_leases.filter(({ state }) => state === "held");
  const isHeldBy = (key: unknown, mode: string) => held.some((lease) => lease.key === key && lease.mode === mode);
  for (const over of views.expired_leases) {
    yield `${kind(over)}: ${over.reason}`;
    if (held.some(({ key }) => key === over.key)) yield "one that has ended beside one that is held";
  }
  for (const lease of views.active_leases) {
    const isOver = lease.state === "expired" || lease.state === "orphaned";
    yield `${kind(lease)}: ${isOver ? "over and guarded" : lease.state}`;
    if (lease.state === "held") {
      yield `${kind(lease)}: session ${lease.is_session_alive}`;
      const others = held.filter(({ key, fence }) => key === lease.key && fence !== lease.fence);
      if (others.length > 0) yield "several hold";
      if (others.some(({ weight }) => weight !== lease.weight)) yield "several weights";
    }
    if (Number(lease.waiters) > 1) yield "several wait";
    if (lease.state === "cooling" && held.some(({ key }) => key === lease.key)) {
      yield "one in its minimum hold beside one that is held";
    }
  }
  for (const { position, mode, key, blocking_pid } of views.waiting) {
    yield position === null ? "passed by" : "in the queue";
    if (blocking_pid !== null) {
      yield "waits for a guard";
      const keepers = views.active_leases.filter((lease) => lease.key === key);
      if (keepers.some(({ state, blocking_pid: pid }) => state === "held" && pid === null)) {
        yield "waits for a guard beside a holder";
      }
    }
    if (!views.active_leases.some((lease) => lease.key === key)) yield "waits for what is free";
    if (position === null || !isHeldBy(key, "shared")) continue;
    if (mode === "exclusive") yield "a writer behind readers";
    const isBehind = views.waiting.some(
      (other) =>
        other.key === key &&
        other.mode === "exclusive" &&
        other.position !== null &&
        Number(other.position) < Number(position),
    );
    if (mode === "shared" && isBehind) yield "a reader behind a writer";
  }
  for (const { keys, session_ids } of views.deadlocks as unknown as Cycle[]) {
    for (const [index, key] of keys.entries()) {
      const next = session_ids[(index + 1) % keys.length];
      const waits = views.waiting.filter((wait) => wait.key === key && wait.session_id === session_ids[index]);
      const holders = picture.grants.filter((grant) => grant.key === key && grant.session === next && grant.isTaken);
      for (const wait of waits) for (const holder of holders) yield `${wait.mode} waits for ${holder.mode} in a cycle`;
    }
  }
  if (shortestCycles(picture.claims).size > shortestCycles(picture.edges).size) {
    yield "none of a cycle: somebody may make room";
  }
}

export interface Cycle {
  readonly keys: readonly string[];
  readonly owners: readonly string[];
  readonly session_ids: readonly number[];
  readonly path: string;
}
