// What the tables say about a key. Times are the server's, in milliseconds since 1970.
import type postgres from "postgres";

export interface LeaseRow {
  readonly token: string | null;
  readonly fence: bigint;
  readonly owner: string;
  readonly sessionId: number | null;
  readonly acquiredAt: number;
  readonly expiresAt: number;
  readonly holdUntil: number | null;
  readonly takeoverMs: number | null;
  /** The last heartbeat of its session; null without one. */
  readonly seenAt: number | null;
  /** The backend of its session. */
  readonly pid: number | null;
  /** When this was read. */
  readonly now: number;
}

export async function leaseRow(sql: postgres.Sql, key: string): Promise<LeaseRow> {
  const [row] = await sql`
    select l.token::text, l.fence::text, l.owner, l.session_id, l.takeover_ms, s.pid,
           extract(epoch from l.acquired_at)::float8 * 1000 as acquired,
           extract(epoch from l.expires_at)::float8 * 1000 as expires,
           extract(epoch from l.hold_until)::float8 * 1000 as hold,
           extract(epoch from s.seen_at)::float8 * 1000 as seen,
           extract(epoch from clock_timestamp())::float8 * 1000 as now
      from leasehold.leases l left join leasehold.sessions s on s.id = l.session_id
     where l.key = ${key}`;
  if (row === undefined) throw new Error(`no row for ${key}`);
  return {
    token: row.token,
    fence: BigInt(row.fence),
    owner: row.owner,
    sessionId: row.session_id,
    acquiredAt: row.acquired,
    expiresAt: row.expires,
    holdUntil: row.hold,
    takeoverMs: row.takeover_ms,
    seenAt: row.seen,
    pid: row.pid,
    now: row.now,
  };
}

/** The last heartbeat of a session, also of one that no lease names any more. */
export async function seenAt(sql: postgres.Sql, sessionId: number | null): Promise<number> {
  const [row] =
    await sql`select extract(epoch from seen_at)::float8 * 1000 as seen from leasehold.sessions where id = ${sessionId}`;
  if (row === undefined) throw new Error(`no session ${sessionId}`);
  return row.seen;
}

/** The secret of the grant that has a key, which the library shows to nobody but who is handed the lock. */
export async function tokenOf(sql: postgres.Sql, key: string): Promise<string> {
  const { token } = await leaseRow(sql, key);
  if (token === null) throw new Error(`nobody has ${key}`);
  return token;
}
