-- Wakes the head of each queue whose key can be granted without a release having announced it: after an expiry, the death of a
-- process, or the end of a minimum hold. A hint (rule 10): the key may be granted already, and a waiter without a session looks
-- by itself.
create function leasehold_internal._wake_heads(most integer) returns integer
language plpgsql volatile
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  sessions integer[];
  restricted text := leasehold_internal._allow_views();
begin
  sessions := array(
    with heads as materialized (
      select distinct on (w.key) w.key, w.session_id
        from leasehold.waiters w
       where w.alive_until > clock_timestamp()
       order by w.key, w.ticket
       limit most
    )
    select distinct coalesce(t.session, h.session_id)
      from heads h
      join leasehold_internal._leases l on l.key = h.key and not l.is_share
      -- A key that is shared is free for as many as fit.
      left join lateral unnest(
        case when exists (select from leasehold.shares s where s.key = h.key) then leasehold_internal._sessions_to_wake(h.key) end
      ) t (session) on true
     where l.state in ('free', 'expired', 'orphaned')
       and case
             when exists (select from leasehold.shares s where s.key = h.key) then t.session
             else h.session_id
           end is not null);
  perform leasehold_internal._restrict_views(restricted);
  perform pg_notify('leasehold_' || s, '') from unnest(sessions) s;
  return cardinality(sessions);
end
$$;
