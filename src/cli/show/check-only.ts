import type { Row } from "../../postgres/connection/link.js";
import type { Database } from "../database.js";
import type { Data } from "../view.js";

/** What a role that may lock is told about a key, as far as the views have columns for it. */
export interface Checked {
  readonly leases: readonly Data[];
  readonly ended: Data | null;
  readonly isFirstGrant: boolean;
}

/** Asks as `locker.check` does. */
export async function checkOnly(database: Database, key: string): Promise<Checked> {
  const time = (ms: string) => `pg_catalog.to_timestamp(i.${ms} operator(pg_catalog./) 1000::double precision)`;
  const [row = {}] = await database.query(
    `select i.state, i.owner, i.fence, i.session, i.alive, ${time("acquired")} as acquired, ${time("renewed")} as renewed,
            ${time("free")} as free, i.ttl, i.metadata::pg_catalog.jsonb as metadata, i.waiters, i.blocked, i.blocker, i.gid,
            i.mode, i.holders, i.free operator(pg_catalog.-) i.now as left, i.now operator(pg_catalog.-) i.acquired as held, i.now
       from leasehold_internal.inspect($1::pg_catalog.text) i`,
    [key],
  );
  const hasEnded = row.state === "expired" || row.state === "orphaned";
  const isKept = row.blocked === true || (row.state !== "free" && !hasEnded);
  return {
    leases: isKept ? toLeases(key, row) : [],
    ended: hasEnded && !isKept ? toEnded(key, row) : null,
    isFirstGrant: row.state === "blocked" && row.fence === null,
  };
}

/** What is told of each who shares a key. */
interface Share {
  readonly state: string;
  readonly owner: string | null;
  readonly fence: string;
  readonly weight: number | null;
  readonly capacity: number | null;
  readonly session: number | null;
  readonly alive: boolean | null;
  readonly acquired: number;
  readonly expires: number;
}

/** One for each who shares the key: of the oldest all that is told of a key, of the others less. */
function toLeases(key: string, row: Row): readonly Data[] {
  const first = toLease(key, row);
  const shares = toShares(row);
  if (shares.length === 0 || row.mode === "exclusive") return [first];
  const nothing = Object.fromEntries(Object.keys(first).map((name) => [name, null]));
  return shares.map((share, index) => ({
    ...(index === 0 ? first : { ...nothing, key, mode: row.mode, waiters: row.waiters }),
    state: share.state,
    weight: share.weight,
    capacity: share.capacity,
    fence: share.fence,
    owner: share.owner,
    session_id: share.session,
    is_session_alive: share.alive,
    acquired_at: new Date(share.acquired).toISOString(),
    expires_at: new Date(share.expires).toISOString(),
    free_at: new Date(share.expires).toISOString(),
    remaining_ms: rounded(share.expires - Number(row.now)),
    held_for_ms: rounded(Number(row.now) - share.acquired),
  }));
}

function toShares({ holders }: Row): readonly Share[] {
  return holders === null ? [] : (JSON.parse(String(holders)) as Share[]);
}

/** A row of `active_leases` without what is known of the session. */
function toLease(key: string, row: Row): Data {
  const isTaken = row.state !== "cooling" && row.state !== "blocked";
  const hasEnd = row.state === "held" || row.state === "revoked" || row.state === "cooling";
  const taken = (value: unknown) => (isTaken ? value : null);
  return {
    key,
    state: row.state,
    mode: row.mode,
    weight: null,
    capacity: null,
    fence: row.fence,
    owner: row.owner,
    session_id: row.session,
    is_session_alive: row.alive,
    acquired_at: iso(row.acquired),
    renewed_at: taken(iso(row.renewed)),
    expires_at: taken(iso(row.free)),
    free_at: hasEnd ? iso(row.free) : null,
    remaining_ms: hasEnd ? rounded(row.left) : null,
    held_for_ms: taken(rounded(row.held)),
    ttl_ms: taken(row.ttl),
    waiters: row.waiters,
    blocking_pid: row.blocker,
    blocking_transaction: row.gid,
    metadata: row.metadata,
  };
}

/** A row of `expired_leases`. When a dead holder's process ended is not told. */
function toEnded(key: string, row: Row): Data {
  const [share = null] = toShares(row);
  return {
    key,
    mode: row.mode,
    weight: share?.weight ?? null,
    capacity: share?.capacity ?? null,
    fence: row.fence,
    owner: row.owner,
    session_id: row.session,
    reason: row.state,
    expires_at: iso(row.free),
    ...(row.state === "expired" ? { expired_for_ms: -(rounded(row.left) ?? 0) } : {}),
    waiters: row.waiters,
  };
}

function iso(time: unknown): string | null {
  return time instanceof Date ? time.toISOString() : null;
}

function rounded(ms: unknown): number | null {
  return ms == null ? null : Math.round(Number(ms));
}
