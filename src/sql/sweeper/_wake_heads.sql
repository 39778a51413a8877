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
    select distinct h.session_id
      from heads h
      join leasehold_internal._leases l on l.key = h.key
     where h.session_id is not null and l.state in ('free', 'expired', 'orphaned'));
  perform leasehold_internal._restrict_views(restricted);
  perform pg_notify('leasehold_' || s, '') from unnest(sessions) s;
  return cardinality(sessions);
end
$$;
