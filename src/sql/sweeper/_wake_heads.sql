-- Wakes the first of each line whose key is grantable. A hint like every wake-up: the key may be granted already, and who has
-- no session looks by itself. What no release announces: a lease that ran out, a process that died, a minimum hold that is over.
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
