// Every statement of the hot paths, one text each: a prepared statement is known by its text.

/**
 * Times travel as float8. A role's default of extra_float_digits would round them, by minutes at worst, so each statement
 * sets it for its own transaction: a pooled connection keeps nothing of it. That costs no more than 10 µs.
 */
export const EXACT_TIMES: string = "set_config('extra_float_digits', '1', true)";

export const ACQUIRE: string = `select item, outcome, fence, acquired, expires, ticket, holder, holderfence, holdersession, look, blocker, takeover, since, now, proof
  from leasehold_internal.acquire($1::int, $2::uuid, $3::int, $4::text::bool, $5::text::text[], $6::text::uuid[], $7::text::text[], $8::text::int[],
    $9::text::int[], $10::text::bigint[], $11::text::text[], $12::text::float8[], $13::text::bool[], $14::text::bigint[], $15::text::bigint[], $16::text::int[]), ${EXACT_TIMES}`;

export const STAY: string = `select item, now
  from leasehold_internal.stay($1::int, $2::uuid, $3::float8, $4::text::text[], $5::text::uuid[]), ${EXACT_TIMES}`;

export const RELEASE: string = `select item, outcome, wake, reason, now
  from leasehold_internal.release(true, $1::text::text[], $2::text::uuid[], $3::text::bigint[]), ${EXACT_TIMES}`;

export const ABANDON: string = `select item, outcome, wake, reason, now
  from leasehold_internal.abandon(true, $1::text::text[], $2::text::uuid[], $3::text::bool[], $4::text::bool[]), ${EXACT_TIMES}`;

export const RENEW: string = `select item, outcome, expires, reason, now
  from leasehold_internal.renew($1::int, $2::uuid, $3::int, $4::text::text[], $5::text::uuid[], $6::text::bigint[], $7::text::int[], $8::text::int[]), ${EXACT_TIMES}`;

export const RENEW_BUSY: string = `select item, outcome, expires, reason, now
  from leasehold_internal.renew_busy($1::int, $2::uuid, $3::int, $4::text, $5::uuid, $6::bigint, $7::int, $8::text::int[]), ${EXACT_TIMES}`;

export const NOTIFY = "select leasehold_internal.notify($1::text::int[])";

export const INSPECT: string = `select state, owner, fence, session, alive, acquired, expires, metadata, waiters, blocker, gid, now
  from leasehold_internal.inspect($1::text), ${EXACT_TIMES}`;

export const FORCE_RELEASE: string = `select outcome, fence, owner, expires, wake, blocker
  from leasehold_internal.force_release($1::text, $2::bigint, $3::text::bool), ${EXACT_TIMES}`;

export const SWEEP: string = `select woken, leases_purged as leases, waiters_purged as waiters, sessions_purged as sessions,
    counters_purged as counters, is_busy as busy, has_more as more
  from leasehold_internal.sweep($1::int)`;

/** Only the session sends it, over a connection with our own settings. */
export const HEARTBEAT = "select alive, pid, now from leasehold_internal.heartbeat($1::int, $2::uuid)";

export const SCHEMA_INFO = "select version, min_client as minclient from leasehold_internal.schema_info()";

export const SEES_SESSION: string = `select leasehold_internal.sees_session($1::int, $2::uuid) as seen, leasehold_internal.fence_source() as source,
  leasehold_internal.place() as place`;

export const PLACE = "select leasehold_internal.place() as place";

export const CHECK_FENCE = "select leasehold.check_fence($1::text, $2::bigint)";

export const FLUSH_COUNTERS = "select leasehold_internal.flush_counters($1::uuid, $2::int, $3::text)";

export const PING = "select current_setting('server_version') as version";
