// Every statement of the hot paths, one text each: a prepared statement is known by its text.
//
// They run on connections that are not ours alone, too, under any search_path: whoever may create an operator or a function in a
// schema of that path must not get a statement of ours to use it. So whatever a path could lead elsewhere names its schema
// (test/trust/lint.ts has the rules).

/**
 * Times travel as float8. A role's default of extra_float_digits would round them, by minutes at worst, so each statement
 * sets it for its own transaction: a pooled connection keeps nothing of it. That costs no more than 10 µs.
 */
export const EXACT_TIMES: string = "pg_catalog.set_config('extra_float_digits', '1', true)";

/** An instant, as times travel: milliseconds since 1970. `numeric * integer` of pg_catalog is none: whoever has one in `public` would be asked. */
export function milliseconds(instant: string): string {
  return `(extract(epoch from ${instant}) operator(pg_catalog.*) 1000::numeric)::double precision`;
}

export const ACQUIRE: string = `select item, outcome, fence, acquired, expires, ticket, holder, holderfence, holdersession, look, blocker, takeover, since, now, proof
  from leasehold_internal.acquire($1::int, $2::pg_catalog.uuid, $3::int, $4::pg_catalog.text::boolean,
    $5::pg_catalog.text::pg_catalog.text[], $6::pg_catalog.text::pg_catalog.uuid[], $7::pg_catalog.text::pg_catalog.text[],
    $8::pg_catalog.text::int[],
    $9::pg_catalog.text::int[], $10::pg_catalog.text::bigint[], $11::pg_catalog.text::pg_catalog.text[],
    $12::pg_catalog.text::double precision[], $13::pg_catalog.text::boolean[], $14::pg_catalog.text::bigint[],
    $15::pg_catalog.text::bigint[], $16::pg_catalog.text::int[]), ${EXACT_TIMES}`;

export const STAY: string = `select item, now
  from leasehold_internal.stay($1::int, $2::pg_catalog.uuid, $3::double precision, $4::pg_catalog.text::pg_catalog.text[],
    $5::pg_catalog.text::pg_catalog.uuid[]), ${EXACT_TIMES}`;

export const RELEASE: string = `select item, outcome, wake, reason, now
  from leasehold_internal.release(true, $1::pg_catalog.text::pg_catalog.text[], $2::pg_catalog.text::pg_catalog.uuid[],
    $3::pg_catalog.text::bigint[]), ${EXACT_TIMES}`;

export const ABANDON: string = `select item, outcome, wake, reason, now
  from leasehold_internal.abandon(true, $1::pg_catalog.text::pg_catalog.text[], $2::pg_catalog.text::pg_catalog.uuid[],
    $3::pg_catalog.text::boolean[], $4::pg_catalog.text::boolean[]), ${EXACT_TIMES}`;

export const RENEW: string = `select item, outcome, expires, reason, now
  from leasehold_internal.renew($1::int, $2::pg_catalog.uuid, $3::int, $4::pg_catalog.text::pg_catalog.text[],
    $5::pg_catalog.text::pg_catalog.uuid[], $6::pg_catalog.text::bigint[], $7::pg_catalog.text::int[],
    $8::pg_catalog.text::int[]), ${EXACT_TIMES}`;

export const RENEW_BUSY: string = `select item, outcome, expires, reason, now
  from leasehold_internal.renew_busy($1::int, $2::pg_catalog.uuid, $3::int, $4::pg_catalog.text, $5::pg_catalog.uuid,
    $6::bigint, $7::int, $8::pg_catalog.text::int[]), ${EXACT_TIMES}`;

export const NOTIFY = "select leasehold_internal.notify($1::pg_catalog.text::int[])";

export const INSPECT: string = `select state, owner, fence, session, alive, acquired, expires, metadata, waiters, blocker, gid, now
  from leasehold_internal.inspect($1::pg_catalog.text), ${EXACT_TIMES}`;

export const FORCE_RELEASE: string = `select outcome, fence, owner, expires, wake, blocker
  from leasehold_internal.force_release($1::pg_catalog.text, $2::bigint, $3::pg_catalog.text::boolean), ${EXACT_TIMES}`;

export const SWEEP: string = `select woken, leases_purged as leases, waiters_purged as waiters, sessions_purged as sessions,
    counters_purged as counters, is_busy as busy, has_more as more
  from leasehold_internal.sweep($1::int)`;

/** Only the session sends it, over a connection with our own settings. */
export const HEARTBEAT = "select alive, pid, now from leasehold_internal.heartbeat($1::int, $2::pg_catalog.uuid)";

export const SCHEMA_INFO = "select version, min_client as minclient from leasehold_internal.schema_info()";

export const SEES_SESSION: string = `select leasehold_internal.sees_session($1::int, $2::pg_catalog.uuid) as seen, leasehold_internal.fence_source() as source,
  leasehold_internal.place() as place`;

export const PLACE = "select leasehold_internal.place() as place";

export const CHECK_FENCE = "select leasehold.check_fence($1::pg_catalog.text, $2::bigint)";

export const FLUSH_COUNTERS =
  "select leasehold_internal.flush_counters($1::pg_catalog.uuid, $2::int, $3::pg_catalog.text)";

export const PING = "select pg_catalog.current_setting('server_version') as version";
