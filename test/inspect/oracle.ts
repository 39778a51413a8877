// What the views must say, worked out once more from the tables, the server's locks and the time, and in another language.
import type postgres from "postgres";

type Row = Readonly<Record<string, unknown>>;

interface RawLease extends Row {
  readonly key: string;
  readonly fence: string;
  readonly owner: string | null;
  readonly isTaken: boolean;
  readonly session: number | null;
  readonly takeoverMs: number | null;
  readonly acquired: number | null;
  readonly expires: number | null;
  readonly holdUntil: number | null;
  readonly revoked: number | null;
}

interface RawWaiter extends Row {
  readonly key: string;
  readonly ticket: string;
  readonly owner: string;
  readonly session: number | null;
  readonly enqueued: number;
  readonly aliveUntil: number;
}

interface RawSession extends Row {
  readonly id: number;
  readonly owner: string;
  readonly pid: number;
  readonly host: string;
  readonly seen: number;
}

/** The tables of one snapshot, and what else is true at one instant. Times are microseconds since 1970. */
export interface Facts {
  readonly now: number;
  readonly started: number;
  /** The sessions whose presence lock is held. */
  readonly present: readonly number[];
  readonly leases: readonly RawLease[];
  readonly waiters: readonly RawWaiter[];
  readonly sessions: readonly RawSession[];
}

/** What each view must say. `blocking_pid` is not in it: no table tells who guards. */
export interface Picture {
  readonly active_leases: readonly Row[];
  readonly waiting: readonly Row[];
  readonly live_sessions: readonly Row[];
  readonly expired_leases: readonly Row[];
  /** Who waits for whom, as sessions. */
  readonly edges: readonly (readonly [number, number])[];
}

const micros = (column: string) => `(extract(epoch from ${column}) * 1000000)::float8`;

/** Both ends of a look at the tables and at the views, all on one snapshot of the tables. */
export async function look(sql: postgres.Sql): Promise<{ before: Facts; after: Facts; views: Record<string, Row[]> }> {
  return sql.begin("isolation level repeatable read read only", async (tx) => {
    const instant = async () => {
      const [row] = await tx.unsafe(`
        select ${micros("clock_timestamp()")} as now, ${micros("pg_postmaster_start_time()")} as started,
               coalesce((select jsonb_agg(objid::bigint order by objid) from pg_locks
                          where locktype = 'advisory' and classid = 1279480140 and objsubid = 2 and granted and mode = 'ExclusiveLock'
                            and database = (select oid from pg_database where datname = current_database())), '[]') as present`);
      return row as unknown as Pick<Facts, "now" | "started" | "present">;
    };
    const leases = await tx.unsafe(`
      select key, fence::text, owner, token is not null as "isTaken", session_id as session, takeover_ms as "takeoverMs", ttl_ms as "ttlMs",
             ${micros("acquired_at")} as acquired, ${micros("renewed_at")} as renewed, ${micros("expires_at")} as expires, ${micros("hold_until")} as "holdUntil",
             ${micros("max_hold_until")} as bound, ${micros("revoked_at")} as revoked, metadata, acquisitions::text
        from leasehold.leases`);
    const waiters = await tx.unsafe(`
      select key, ticket::text, owner, session_id as session, ${micros("enqueued_at")} as enqueued, ${micros("alive_until")} as "aliveUntil"
        from leasehold.waiters`);
    const sessions = await tx.unsafe(`
      select id, owner, pid, host, client_address::text as address, application_name as application, version,
             ${micros("started_at")} as started, ${micros("seen_at")} as seen
        from leasehold.sessions`);
    const tables = { leases, waiters, sessions } as unknown as Pick<Facts, "leases" | "waiters" | "sessions">;
    const before = { ...(await instant()), ...tables };
    const views: Record<string, Row[]> = {};
    for (const [view, columns] of Object.entries(selections)) {
      views[view] = [...(await tx.unsafe(`select ${columns} from leasehold.${view}`))];
    }
    const after = { ...(await instant()), ...tables };
    return { before, after, views };
  });
}

const selections = {
  active_leases: `key, state, fence::text, owner, session_id, is_session_alive, ${micros("acquired_at")} as acquired_at, ${micros("renewed_at")} as renewed_at,
    ${micros("expires_at")} as expires_at, ${micros("free_at")} as free_at, ${micros("max_hold_until")} as max_hold_until, ${micros("revoked_at")} as revoked_at,
    case when held_for is not null and remaining is not null then remaining + held_for = expires_at - acquired_at end as fits, remaining > '0' as is_ahead,
    held_for > '0' as is_past, round(extract(epoch from ttl) * 1000)::float8 as ttl, waiters, blocking_pid, blocking_transaction, pid, host,
    client_address::text, application_name, metadata, acquisitions::text`,
  waiting: `key, position, ticket::text, owner, session_id, ${micros("waiting_since")} as waiting_since, waiting_for > '0' as waits,
    ${micros("alive_until")} as alive_until, is_alive, blocked_by, blocked_by_fence::text, ${micros("blocked_since")} as blocked_since,
    blocking_pid, blocking_transaction, pid, host`,
  live_sessions: `id, owner, pid, host, client_address::text, application_name, version, ${micros("started_at")} as started_at, ${micros("seen_at")} as seen_at,
    silent_for > '0' as is_past, is_alive, leases, waits`,
  expired_leases: `key, fence::text, owner, session_id, reason, ${micros("expires_at")} as expires_at, expired_for > '0' as is_past, waiters`,
  deadlocks: "to_jsonb(keys) as keys, to_jsonb(owners) as owners, to_jsonb(session_ids) as session_ids, path",
};

export type State = "free" | "cooling" | "expired" | "orphaned" | "revoked" | "held";

export function stateOf(lease: RawLease, facts: Facts): State {
  if (!lease.isTaken) return (lease.holdUntil ?? 0) > facts.now ? "cooling" : "free";
  if ((lease.expires ?? 0) <= facts.now) return "expired";
  if (isDead(lease, facts)) return "orphaned";
  return lease.revoked === null ? "held" : "revoked";
}

function isDead({ session, takeoverMs }: RawLease, { now, started, present, sessions }: Facts): boolean {
  if (session === null || takeoverMs === null || present.includes(session)) return false;
  if (takeoverMs === 0) return true;
  const row = sessions.find(({ id }) => id === session);
  return row !== undefined && Math.max(row.seen, started) + takeoverMs * 1_000 < now;
}

/** `guarded`: the keys of which it is known that an open transaction guards them. */
export function judge(facts: Facts, guarded: ReadonlyMap<string, number>): Picture {
  const { leases, waiters, sessions, present, now } = facts;
  const states = new Map(leases.map((lease) => [lease.key, stateOf(lease, facts)]));
  const looking = waiters.filter(({ aliveUntil }) => aliveUntil > now);
  const queueOf = (key: string) =>
    looking.filter((waiter) => waiter.key === key).sort((a, b) => (BigInt(a.ticket) < BigInt(b.ticket) ? -1 : 1));
  const sessionOf = (id: number | null) => sessions.find((session) => session.id === id);
  const leaseOf = (key: string) => leases.find((lease) => lease.key === key);
  const isHeld = (key: string) => ["held", "revoked"].includes(states.get(key) ?? "");
  const isKept = (key: string) => isHeld(key) || states.get(key) === "cooling" || guarded.has(key);

  return {
    active_leases: leases
      .filter(({ key }) => isKept(key))
      .map((lease) => {
        const session = sessionOf(lease.session);
        const state = states.get(lease.key);
        const freeAt = isHeld(lease.key) ? lease.expires : state === "cooling" ? lease.holdUntil : null;
        return {
          key: lease.key,
          state: state === "free" ? "blocked" : state,
          fence: lease.fence,
          owner: lease.owner,
          session_id: lease.session,
          is_session_alive: lease.session === null ? null : session !== undefined && present.includes(lease.session),
          acquired_at: lease.acquired,
          renewed_at: lease.isTaken ? lease.renewed : null,
          expires_at: lease.isTaken ? lease.expires : null,
          free_at: freeAt,
          max_hold_until: lease.isTaken ? lease.bound : null,
          revoked_at: lease.isTaken ? lease.revoked : null,
          fits: isHeld(lease.key) ? true : null,
          is_ahead: freeAt === null ? null : true,
          is_past: lease.isTaken ? true : null,
          ttl: lease.isTaken ? lease.ttlMs : null,
          waiters: queueOf(lease.key).length,
          blocking_pid: guarded.get(lease.key) ?? null,
          blocking_transaction: null,
          pid: session?.pid ?? null,
          host: session?.host ?? null,
          client_address: session?.address ?? null,
          application_name: session?.application ?? null,
          metadata: lease.metadata,
          acquisitions: lease.acquisitions,
        };
      }),
    waiting: waiters.map((waiter) => {
      const lease = isKept(waiter.key) ? leaseOf(waiter.key) : undefined;
      const place = queueOf(waiter.key).findIndex(({ ticket }) => ticket === waiter.ticket);
      const session = sessionOf(waiter.session);
      return {
        key: waiter.key,
        position: place < 0 ? null : place + 1,
        ticket: waiter.ticket,
        owner: waiter.owner,
        session_id: waiter.session,
        waiting_since: waiter.enqueued,
        waits: true,
        alive_until: waiter.aliveUntil,
        is_alive: waiter.aliveUntil > now,
        blocked_by: lease?.owner ?? null,
        blocked_by_fence: lease?.fence ?? null,
        blocked_since: lease === undefined ? null : Math.max(lease.acquired ?? 0, waiter.enqueued),
        blocking_pid: guarded.get(waiter.key) ?? null,
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
      leases: leases.filter((lease) => lease.session === session.id && isHeld(lease.key)).length,
      waits: looking.filter((waiter) => waiter.session === session.id).length,
    })),
    expired_leases: leases
      .filter(({ key }) => ["expired", "orphaned"].includes(states.get(key) ?? "") && !isKept(key))
      .map((lease) => ({
        key: lease.key,
        fence: lease.fence,
        owner: lease.owner,
        session_id: lease.session,
        reason: states.get(lease.key),
        expires_at: lease.expires,
        is_past: true,
        waiters: queueOf(lease.key).length,
      })),
    edges: looking.flatMap((waiter) => {
      const lease = leaseOf(waiter.key);
      return waiter.session !== null && lease?.session && isHeld(waiter.key) && lease.session !== waiter.session
        ? [[waiter.session, lease.session] as const]
        : [];
    }),
  };
}
