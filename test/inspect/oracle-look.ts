// One look at the tables, the server's locks and the time, and at what the views say of the same moment.
import type postgres from "postgres";

export type Row = Readonly<Record<string, unknown>>;

/** What leases and shares have in common. */
export interface Terms {
  readonly key: string;
  readonly fence: string;
  readonly owner: string | null;
  readonly session: number | null;
  readonly takeoverMs: number | null;
  readonly ttlMs: number;
  readonly acquired: number | null;
  readonly renewed: number | null;
  readonly expires: number | null;
  readonly holdUntil: number | null;
  readonly bound: number | null;
  readonly revoked: number | null;
  readonly metadata: unknown;
}

export interface RawLease extends Terms {
  readonly token: string | null;
  readonly acquisitions: string;
}

export interface RawShare extends Terms {
  readonly weight: number;
  readonly capacity: number | null;
  readonly released: number | null;
}

export interface RawWaiter extends Row {
  readonly key: string;
  readonly ticket: string;
  readonly owner: string;
  readonly session: number | null;
  readonly weight: number | null;
  readonly capacity: number | null;
  readonly enqueued: number;
  readonly aliveUntil: number;
}

export interface RawSession extends Row {
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
  readonly shares: readonly RawShare[];
  readonly waiters: readonly RawWaiter[];
  readonly sessions: readonly RawSession[];
}

export type Views = Readonly<Record<keyof typeof selections, readonly Row[]>>;

const micros = (column: string) => `(extract(epoch from ${column}) * 1000000)::float8`;

/** Both ends of a look at the tables and at the views, all on one snapshot of the tables. */
export async function look(sql: postgres.Sql): Promise<{ before: Facts; after: Facts; views: Views }> {
  return sql.begin("isolation level repeatable read read only", async (tx) => {
    const instant = async () => {
      const [row] = await tx.unsafe(`
        select ${micros("clock_timestamp()")} as now, ${micros("pg_postmaster_start_time()")} as started,
               coalesce((select jsonb_agg(objid::bigint order by objid) from pg_locks
                          where locktype = 'advisory' and classid = 1279480140 and objsubid = 2 and granted and mode = 'ExclusiveLock'
                            and database = (select oid from pg_database where datname = current_database())), '[]') as present`);
      return row as unknown as Pick<Facts, "now" | "started" | "present">;
    };
    const terms = `key, fence::text, owner, session_id as session, takeover_ms as "takeoverMs", ttl_ms as "ttlMs",
      ${micros("acquired_at")} as acquired, ${micros("renewed_at")} as renewed, ${micros("expires_at")} as expires,
      ${micros("hold_until")} as "holdUntil", ${micros("max_hold_until")} as bound, ${micros("revoked_at")} as revoked, metadata`;
    const leases = await tx.unsafe(`select ${terms}, token, acquisitions::text from leasehold.leases`);
    const shares = await tx.unsafe(
      `select ${terms}, weight, capacity, ${micros("released_at")} as released from leasehold.shares`,
    );
    const waiters = await tx.unsafe(`
      select key, ticket::text, owner, session_id as session, weight, capacity, ${micros("enqueued_at")} as enqueued, ${micros("alive_until")} as "aliveUntil"
        from leasehold.waiters`);
    const sessions = await tx.unsafe(`
      select id, owner, pid, host, client_address::text as address, application_name as application, version,
             ${micros("started_at")} as started, ${micros("seen_at")} as seen
        from leasehold.sessions`);
    const tables = { leases, shares, waiters, sessions } as unknown as Omit<Facts, "now" | "started" | "present">;
    const before = { ...(await instant()), ...tables };
    const views: Partial<Record<keyof Views, Row[]>> = {};
    for (const [view, columns] of Object.entries(selections) as [keyof Views, string][]) {
      views[view] = [...(await tx.unsafe(`select ${columns} from leasehold.${view}`))];
    }
    const after = { ...(await instant()), ...tables };
    return { before, after, views: views as Views };
  });
}

const selections = {
  active_leases: `key, state, mode, weight, capacity, fence::text, owner, session_id, is_session_alive, ${micros("acquired_at")} as acquired_at, ${micros("renewed_at")} as renewed_at,
    ${micros("expires_at")} as expires_at, ${micros("free_at")} as free_at, ${micros("max_hold_until")} as max_hold_until, ${micros("revoked_at")} as revoked_at,
    case when held_for is not null and remaining is not null then remaining + held_for = expires_at - acquired_at end as fits, remaining > '0' as is_ahead,
    held_for > '0' as is_past, round(extract(epoch from ttl) * 1000)::float8 as ttl, waiters, blocking_pid, blocking_transaction, pid, host,
    client_address::text, application_name, metadata, acquisitions::text`,
  waiting: `key, position, mode, weight, capacity, ticket::text, owner, session_id, ${micros("waiting_since")} as waiting_since, waiting_for > '0' as waits,
    ${micros("alive_until")} as alive_until, is_alive, blocked_by, blocked_by_fence::text, ${micros("blocked_since")} as blocked_since,
    blocking_pid, blocking_transaction, pid, host`,
  live_sessions: `id, owner, pid, host, client_address::text, application_name, version, ${micros("started_at")} as started_at, ${micros("seen_at")} as seen_at,
    silent_for > '0' as is_past, is_alive, leases, waits`,
  expired_leases: `key, mode, weight, capacity, fence::text, owner, session_id, reason, ${micros("expires_at")} as expires_at, expired_for > '0' as is_past, waiters`,
  deadlocks: "to_jsonb(keys) as keys, to_jsonb(owners) as owners, to_jsonb(session_ids) as session_ids, path",
};
