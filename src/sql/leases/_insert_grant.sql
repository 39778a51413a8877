-- Grants keys that have no row yet, by inserting it. The caller holds the advisory locks of the keys. One moment and one
-- fence for all of them, as in parts/grant.sql, the other place that knows what a grant writes. To insert a free row and to
-- grant that like any other was tried: the first version of a row was narrower than the next, so that pages were overfull,
-- and 8 % of all renewals of 10,000 leases were not HOT any more.
create function leasehold_internal._insert_grant(
  p_keys text[],
  p_tokens uuid[],
  p_items integer[],
  p_session integer,
  p_takeover_ms integer,
  p_owner text,
  p_ttl_ms integer,
  p_min_hold_ms integer,
  p_max_hold_ms bigint,
  p_metadata text,
  out items integer[],
  out fences text,
  out moment timestamptz,
  out until timestamptz
)
language plpgsql volatile
as $$
declare
  drawn bigint := :fence;
begin
  moment := clock_timestamp();
  until := moment + least(p_ttl_ms, p_max_hold_ms) * interval '1 millisecond';
  with granted as (
    insert into leasehold.leases as l (
      key, token, fence, owner, session_id, ttl_ms, takeover_ms, min_hold_ms, max_hold_until,
      acquired_at, renewed_at, expires_at, metadata, acquisitions)
    select x.key, x.token, drawn, p_owner, p_session, p_ttl_ms, p_takeover_ms, p_min_hold_ms,
           moment + p_max_hold_ms * interval '1 millisecond', moment, moment, until, p_metadata::jsonb, 1
      from unnest(p_keys, p_tokens) as x (key, token)
     order by x.key
    on conflict do nothing
    returning l.token, l.fence
  )
  select array_agg(x.item order by x.item), string_agg(g.fence::text, ',' order by x.item)
    into items, fences
    from granted g join unnest(p_tokens, p_items) as x (token, item) on x.token = g.token;
  perform leasehold_internal._refuse_stale_insert(moment);
end
$$;
