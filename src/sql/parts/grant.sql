-- What a grant writes into a lease l, from x (token, moment, drawn, queued): a moment and a fence that were drawn once the
-- row was locked (rule 4). A new row gets the same by _insert_grant.
token = x.token,
fence = greatest(l.fence + 1, x.drawn),
owner = p_owner,
session_id = p_session,
ttl_ms = p_ttl_ms,
takeover_ms = p_takeover_ms,
min_hold_ms = p_min_hold_ms,
max_hold_until = x.moment + p_max_hold_ms * interval '1 millisecond',
acquired_at = x.moment,
renewed_at = x.moment,
expires_at = x.moment + least(p_ttl_ms, p_max_hold_ms) * interval '1 millisecond',
hold_until = null,
revoked_at = null,
queued = x.queued,
metadata = p_metadata::jsonb,
released_at = null,
acquisitions = l.acquisitions + 1
