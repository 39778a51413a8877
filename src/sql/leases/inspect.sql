-- Only reads, and takes no lock that anybody could notice: whether a session is alive comes from pg_locks (see the view
-- _leases).
create function leasehold_internal.inspect(p_key text)
returns table (
  state text, owner text, fence bigint, session integer, alive boolean, acquired float8, renewed float8, free float8,
  ttl integer, metadata text, waiters integer, blocked boolean, blocker integer, gid text, now float8)
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
  key record;
  restricted text;
begin
  restricted := leasehold_internal._allow_views();
  select k.* into key from leasehold_internal._keys k where k.key = p_key;
  perform leasehold_internal._restrict_views(restricted);
  state := key.state;
  blocked := key.is_blocked;
  blocker := key.blocking_pid;
  gid := key.blocking_transaction;
  if state is null then
    -- A key without a row: free, unless somebody's first grant of it is not committed.
    select b.is_blocked, b.pid, b.gid into blocked, blocker, gid from leasehold_internal._blocker(p_key) b;
    state := case when blocked then 'blocked' else 'free' end;
  end if;
  waiters := (select count(*) from leasehold.waiters w where w.key = p_key and w.alive_until > clock_timestamp());
  owner := key.owner;
  fence := nullif(key.fence, 0); -- 0: its first grant is not committed
  session := key.session_id;
  alive := key.is_session_alive;
  acquired := leasehold_internal._ms(key.acquired_at);
  renewed := leasehold_internal._ms(key.renewed_at);
  free := leasehold_internal._ms(case state when 'cooling' then key.hold_until when 'blocked' then null else key.expires_at end);
  ttl := key.ttl_ms;
  metadata := key.metadata::text;
  now := leasehold_internal._ms(clock_timestamp());
  return next;
end
$$;
