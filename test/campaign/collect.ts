// What the database knows at the end of a round, in the form of the log.
import { appendFile } from "node:fs/promises";
import type postgres from "postgres";
import type { RowEntry } from "./log.js";

/** A time as microseconds since 1970; what is not a time is null. */
const us = (column: string): string => `(extract(epoch from ${column}) * 1000000)::float8`;

const recorded = `r.id::float8 as id, r.op, ${us("r.at")} as at, r.xid::text as xid, r.node,
  ${us("pg_xact_commit_timestamp(r.xid::text::xid)")} as "committedAt"`;

const leaseColumns = (kind: string, queued: string, weight: string): string => `
  ${kind} as kind, r.key, r.token::text, r.fence::text, r.owner, r.session_id as "sessionId", r.ttl_ms as "ttlMs",
  r.takeover_ms as "takeoverMs", r.min_hold_ms as "minHoldMs", ${us("r.max_hold_until")} as "maxHoldUntil",
  ${us("r.renewed_at")} as "renewedAt", ${us("r.expires_at")} as "expiresAt", ${us("r.hold_until")} as "holdUntil",
  ${us("r.revoked_at")} as "revokedAt", ${us("r.released_at")} as "releasedAt", ${weight}, ${queued} as queued`;

const waiterColumns = `r.key, r.ticket::text, r.token::text, r.session_id as "sessionId", r.owner, r.weight, r.capacity,
  ${us("r.alive_until")} as "aliveUntil"`;

const queries: readonly (readonly [table: RowEntry["table"], query: string])[] = [
  [
    "grants",
    `select ${recorded}, ${leaseColumns("r.kind", "r.queued", "r.weight, r.capacity")} from campaign.grants r order by r.id`,
  ],
  ["line", `select ${recorded}, ${waiterColumns} from campaign.line r order by r.id`],
  [
    "sessions",
    `select ${recorded}, r.session_id as "sessionId", r.owner, r.pid, ${us("r.seen_at")} as "seenAt" from campaign.sessions r order by r.id`,
  ],
  [
    "writes",
    `select ${recorded}, r.key, r.fence::text, r.is_share as "isShare", r.was::float8, r.value::float8, r.worker from campaign.writes r order by r.id`,
  ],
  [
    "accounts",
    `select key, value::float8, opening_balance::float8 as "openingBalance" from campaign.accounts order by key`,
  ],
  [
    "left leases",
    `select ${leaseColumns("'lease'", "r.queued", "null::int as weight, null::int as capacity")} from leasehold.leases r
       where r.token is not null
     union all
     select ${leaseColumns("'share'", "null::boolean", "r.weight, r.capacity")} from leasehold.shares r where r.released_at is null`,
  ],
  ["left waiters", `select ${waiterColumns} from leasehold.waiters r`],
  [
    "left sessions",
    `select r.id as "sessionId", r.owner, r.pid, ${us("r.seen_at")} as "seenAt" from leasehold.sessions r`,
  ],
  [
    "left connections",
    `select r.application_name as application, r.query from pg_stat_activity r
      where r.application_name like 'leasehold%' or r.application_name like 'data %'`,
  ],
  [
    "left locks",
    `select r.classid::bigint::float8 as classid, r.objid::bigint::float8 as objid, r.pid from pg_locks r where r.locktype = 'advisory'`,
  ],
];

/** What a server has that lost to another: only what that one has not. */
const recordedTables: readonly RowEntry["table"][] = ["grants", "line", "sessions", "writes"];

/** Appends all rows to the log. `lost`: the server that was replaced; what is on it alone is marked as lost. */
export async function collect(file: string, sql: postgres.Sql, lost: postgres.Sql | undefined): Promise<void> {
  const [server] = await sql`select current_setting('cluster_name') as node`;
  const seen = new Set<string>();
  const lines: string[] = [];
  const add = (row: object): void => void lines.push(JSON.stringify({ p: "database", e: "row", ...row }));
  for (const [table, query] of queries) {
    for (const row of await sql.unsafe(query)) {
      add({ node: server?.node, table, ...row });
      seen.add(identity(table, row));
    }
  }
  for (const [table, query] of lost === undefined ? [] : queries.filter(([name]) => recordedTables.includes(name))) {
    for (const row of (await lost?.unsafe(query)) ?? []) {
      if (!seen.has(identity(table, row))) add({ table, ...row, isLost: true });
    }
  }
  await appendFile(file, `${lines.join("\n")}\n`);
}

/** Numbers that a server has given and lost are given again by the next one. */
function identity(table: string, row: postgres.Row): string {
  return `${table} ${row.node} ${row.id} ${row.xid}`;
}
