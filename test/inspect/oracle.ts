// What the views must say, worked out once more from the tables, the server's locks and the time, and in another language.
import type { Edge } from "./cycles.js";
import type { Facts, Row, Terms } from "./oracle-look.js";
import { allEdges, findStuck } from "./stuck-waits.js";

/** What each view must say. Who guards is told by no table: `blocking_pid` is what the test knows. */
export interface Picture {
  readonly active_leases: readonly Row[];
  readonly waiting: readonly Row[];
  readonly live_sessions: readonly Row[];
  readonly expired_leases: readonly Row[];
  /** Who waits for whom among those who cannot go on, as sessions. */
  readonly edges: readonly Edge[];
  /** The same as if each holder were in the way of each who waits. */
  readonly claims: readonly Edge[];
  readonly grants: readonly Grant[];
}

export type Mode = "exclusive" | "shared" | "semaphore";
export type State = "free" | "cooling" | "expired" | "orphaned" | "revoked" | "held";

/** A lease or a share. The row of a key whose last grant was a share counts as one that is free: its mode is null. */
export interface Grant extends Terms {
  readonly mode: Mode | null;
  readonly weight: number | null;
  readonly capacity: number | null;
  readonly isTaken: boolean;
  readonly state: State;
  readonly acquisitions: string;
  /** The server process of the open transaction that guards it. */
  readonly guard: number | null;
}

/** A grant, as the guards of a test are named. */
export const nameOf = ({ key, fence }: { key: string; fence: string | bigint }): string => `${key} ${fence}`;

const modeOf = (weight: number | null, capacity: number | null): Mode =>
  weight === null ? "exclusive" : capacity === null ? "shared" : "semaphore";

/** `guarded`: of which grants it is known that an open transaction guards them, and by which server process. */
function grantsOf(facts: Facts, guarded: ReadonlyMap<string, number>): Grant[] {
  const acquisitions = new Map(facts.leases.map((root) => [root.key, root.acquisitions]));
  const leases = facts.leases.map(({ token, ...lease }) => {
    const mode = lease.expires === null ? null : ("exclusive" as const);
    const guard = mode === null ? null : (guarded.get(nameOf(lease)) ?? null);
    const isTaken = token !== null;
    return { ...lease, mode, weight: null, capacity: null, isTaken, guard, state: stateOf(lease, isTaken, facts) };
  });
  const shares = facts.shares.map(({ released, ...share }) => {
    const isTaken = released === null;
    return {
      ...share,
      mode: modeOf(share.weight, share.capacity),
      isTaken,
      guard: guarded.get(nameOf(share)) ?? null,
      state: stateOf(share, isTaken, facts),
      acquisitions: acquisitions.get(share.key) ?? "no root",
    };
  });
  return [...leases, ...shares];
}

function stateOf(grant: Terms, isTaken: boolean, facts: Facts): State {
  if (!isTaken) return (grant.holdUntil ?? 0) > facts.now ? "cooling" : "free";
  if ((grant.expires ?? 0) <= facts.now) return "expired";
  if (isDead(grant.session, grant.takeoverMs, facts)) return "orphaned";
  return grant.revoked === null ? "held" : "revoked";
}

function isDead(session: number | null, takeoverMs: number | null, facts: Facts): boolean {
  const { now, started, present, sessions } = facts;
  if (session === null || takeoverMs === null || present.includes(session)) return false;
  if (takeoverMs === 0) return true;
  const row = sessions.find(({ id }) => id === session);
  return row !== undefined && Math.max(row.seen, started) + takeoverMs * 1_000 < now;
}

/** The columns that every view of grants has. */
function whatOf({ key, mode, weight, capacity, fence, owner, session }: Grant): Row {
  return { key, mode, weight, capacity, fence, owner, session_id: session };
}

export function judge(facts: Facts, guarded: ReadonlyMap<string, number>): Picture {
  const { waiters, sessions, present, now } = facts;
  const grants = grantsOf(facts, guarded);
  const looking = waiters
    .filter(({ aliveUntil }) => aliveUntil > now)
    .sort((a, b) => (BigInt(a.ticket) < BigInt(b.ticket) ? -1 : 1));
  const queueOf = (key: string) => looking.filter((waiter) => waiter.key === key);
  const sessionOf = (id: number | null) => sessions.find((session) => session.id === id);
  const isHeld = ({ state }: Grant) => state === "held" || state === "revoked";
  const isKept = (grant: Grant) => isHeld(grant) || grant.state === "cooling" || grant.guard !== null;
  const held = grants.filter(isHeld);
  // who keeps a key: first its holders, then one in its minimum hold, then who is guarded; the oldest of them first
  const keepersOf = (key: string) => {
    const kept = grants.filter((grant) => grant.key === key && isKept(grant));
    kept.sort((a, b) => (BigInt(a.fence) < BigInt(b.fence) ? -1 : 1));
    const cooling = kept.filter(({ state }) => state === "cooling");
    return [...kept.filter(isHeld), ...cooling, ...kept.filter((grant) => !isHeld(grant) && !cooling.includes(grant))];
  };

  return {
    grants,
    active_leases: grants.filter(isKept).map((grant) => {
      const session = sessionOf(grant.session);
      const freeAt = isHeld(grant) ? grant.expires : grant.state === "cooling" ? grant.holdUntil : null;
      return {
        ...whatOf(grant),
        state: grant.state === "free" ? "blocked" : grant.state,
        is_session_alive: grant.session === null ? null : session !== undefined && present.includes(grant.session),
        acquired_at: grant.acquired,
        renewed_at: grant.isTaken ? grant.renewed : null,
        expires_at: grant.isTaken ? grant.expires : null,
        free_at: freeAt,
        max_hold_until: grant.isTaken ? grant.bound : null,
        revoked_at: grant.isTaken ? grant.revoked : null,
        fits: isHeld(grant) ? true : null,
        is_ahead: freeAt === null ? null : true,
        is_past: grant.isTaken ? true : null,
        ttl: grant.isTaken ? grant.ttlMs : null,
        waiters: queueOf(grant.key).length,
        blocking_pid: grant.guard,
        blocking_transaction: null,
        pid: session?.pid ?? null,
        host: session?.host ?? null,
        client_address: session?.address ?? null,
        application_name: session?.application ?? null,
        metadata: grant.metadata,
        acquisitions: grant.acquisitions,
      };
    }),
    waiting: waiters.map((waiter) => {
      const keepers = keepersOf(waiter.key);
      const [first] = keepers;
      const place = queueOf(waiter.key).findIndex(({ ticket }) => ticket === waiter.ticket);
      const session = sessionOf(waiter.session);
      return {
        key: waiter.key,
        position: place < 0 ? null : place + 1,
        mode: modeOf(waiter.weight, waiter.capacity),
        weight: waiter.weight,
        capacity: waiter.capacity,
        ticket: waiter.ticket,
        owner: waiter.owner,
        session_id: waiter.session,
        waiting_since: waiter.enqueued,
        waits: true,
        alive_until: waiter.aliveUntil,
        is_alive: waiter.aliveUntil > now,
        blocked_by: first?.owner ?? null,
        blocked_by_fence: first?.fence ?? null,
        blocked_since: first === undefined ? null : Math.max(first.acquired ?? 0, waiter.enqueued),
        blocking_pid: keepers.find(({ guard }) => guard !== null)?.guard ?? null,
        blocking_transaction: null,
        pid: session?.pid ?? null,
        host: session?.host ?? null,
      };
    }),
    live_sessions: sessions.map((session) => ({
      id: session.id,
      owner: session.owner,
      pid: session.pid,
      host: session.host,
      client_address: session.address,
      application_name: session.application,
      version: session.version,
      started_at: session.started,
      seen_at: session.seen,
      is_past: true,
      is_alive: present.includes(session.id),
      leases: held.filter((grant) => grant.session === session.id).length,
      waits: looking.filter((waiter) => waiter.session === session.id).length,
    })),
    expired_leases: grants
      .filter((grant) => (grant.state === "expired" || grant.state === "orphaned") && !isKept(grant))
      .map((grant) => ({
        ...whatOf(grant),
        reason: grant.state,
        expires_at: grant.expires,
        is_past: true,
        waiters: queueOf(grant.key).length,
      })),
    edges: findStuck(looking, held).edges,
    claims: allEdges(looking, held),
  };
}
