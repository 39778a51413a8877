// What the tables say about the shares of a key. Times are the server's, in milliseconds since 1970.
import type postgres from "postgres";

export interface ShareRow {
  readonly token: string;
  readonly fence: bigint;
  readonly weight: number;
  readonly capacity: number | null;
  readonly sessionId: number | null;
  readonly acquiredAt: number;
  readonly expiresAt: number;
  readonly isReleased: boolean;
}

/** The oldest first. */
export async function shareRows(sql: postgres.Sql, key: string): Promise<readonly ShareRow[]> {
  const rows = await sql`
    select token::text, fence::text, weight, capacity, session_id, extract(epoch from acquired_at)::float8 * 1000 as acquired,
           extract(epoch from expires_at)::float8 * 1000 as expires, released_at is not null as released
      from leasehold.shares where key = ${key} order by shares.fence`;
  return rows.map((row) => ({
    token: row.token,
    fence: BigInt(row.fence),
    weight: row.weight,
    capacity: row.capacity,
    sessionId: row.session_id,
    acquiredAt: row.acquired,
    expiresAt: row.expires,
    isReleased: row.released,
  }));
}

/** Lets a share lapse now. */
export async function expireShare(sql: postgres.Sql, key: string, fence: bigint): Promise<void> {
  await sql`update leasehold.shares set expires_at = clock_timestamp() - interval '1 ms'
    where key = ${key} and fence = ${String(fence)}::bigint`;
}
