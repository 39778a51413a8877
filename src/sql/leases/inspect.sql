-- Only reads, and takes no lock that anybody could notice: whether a session is alive comes from pg_locks (see the view
-- _leases).
create function leasehold_internal.inspect(p_key text)
returns table (
  state text, owner text, fence bigint, session integer, alive boolean, acquired float8, renewed float8, expires float8,
  ttl integer, metadata text, waiters integer, blocker integer, gid text, now float8)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
#variable_conflict use_column
declare
  lease record;
  restricted text;
begin
  restricted := leasehold_internal._allow_views();
  select l.* into lease from leasehold_internal._leases l where l.key = p_key;
  perform leasehold_internal._restrict_views(restricted);
  waiters := (select count(*) from leasehold.waiters w where w.key = p_key and w.alive_until > clock_timestamp());
  state := coalesce(lease.state, 'free');
  owner := lease.owner;
  fence := lease.fence;
  session := lease.session_id;
  alive := lease.is_session_alive;
  acquired := leasehold_internal._ms(lease.acquired_at);
  renewed := leasehold_internal._ms(lease.renewed_at);
  expires := leasehold_internal._ms(case when lease.state = 'cooling' then lease.hold_until else lease.expires_at end);
  ttl := lease.ttl_ms;
  metadata := lease.metadata::text;
  select b.pid, b.gid into blocker, gid from leasehold_internal._blockers(array[p_key]) b;
  now := leasehold_internal._ms(clock_timestamp());
  return next;
end
$$;
