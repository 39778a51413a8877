// The reference for who waits for whom, as the view deadlocks promises it: written without regard to how the database works it out.
import type { Edge } from "./cycles.js";

/** What somebody waits for, or holds. Weight null: the whole key. */
export interface Claim {
  readonly session: number | null;
  readonly key: string;
  readonly weight: number | null;
  readonly capacity: number | null;
}

export interface Stuck {
  /** The waits that cannot end before one of the stuck sessions gives up something. */
  readonly waits: readonly Claim[];
  /** Who waits for whom among the stuck. */
  readonly edges: readonly Edge[];
}

/** Takes out one session after another that could go on if all who were taken out let go. `waits`: the queue of each key in its order. */
export function findStuck(waits: readonly Claim[], holds: readonly Claim[]): Stuck {
  const suspects = new Set<number>();
  for (const { session } of holds) if (session !== null) suspects.add(session);
  const heldBySuspects = (key: string) =>
    holds.filter((hold) => hold.key === key && hold.session !== null && suspects.has(hold.session));
  const stuckWaits = () => [...new Set(waits.map(({ key }) => key))].flatMap((key) => stuckIn(key));
  const stuckIn = (key: string) => {
    const queue = waits.filter((wait) => wait.key === key);
    const held = heldBySuspects(key);
    const first = queue.findIndex((wait) => hasNoRoom(wait, held));
    return first < 0 ? [] : queue.slice(first).filter((wait) => held.some(({ session }) => session !== wait.session));
  };
  for (;;) {
    const stuck = stuckWaits();
    const free = [...suspects].find((suspect) => !stuck.some(({ session }) => session === suspect));
    if (free === undefined) {
      const own = stuck.filter(({ session }) => session !== null && suspects.has(session));
      return { waits: own, edges: own.flatMap((wait) => edgesOf(wait, heldBySuspects(wait.key))) };
    }
    suspects.delete(free);
  }
}

/** Who waits for whom if each holder of a key is in the way of each who waits for it. */
export function allEdges(waits: readonly Claim[], holds: readonly Claim[]): Edge[] {
  return waits.flatMap((wait) =>
    edgesOf(
      wait,
      holds.filter(({ key }) => key === wait.key),
    ),
  );
}

function hasNoRoom(wait: Claim, held: readonly Claim[]): boolean {
  // What a session has itself counts only beside what others have.
  if (held.every(({ session }) => session === wait.session)) return false;
  if (wait.weight === null) return true;
  let taken = wait.weight;
  let room = wait.capacity ?? Number.POSITIVE_INFINITY;
  for (const { weight, capacity } of held) {
    taken += weight ?? Number.POSITIVE_INFINITY;
    room = Math.min(room, capacity ?? Number.POSITIVE_INFINITY);
  }
  return taken > room || held.some(({ weight }) => weight === null);
}

function edgesOf({ session }: Claim, held: readonly Claim[]): Edge[] {
  return held.flatMap((hold) =>
    session !== null && hold.session !== null && hold.session !== session ? [[session, hold.session] as const] : [],
  );
}
