-- Only reads, and takes no lock that anybody could notice: whether a session is alive comes from pg_locks (see the view
-- _leases).
--
-- Of several who share the key the first columns tell of one: the oldest that holds it, or else what keeps it (see the view
-- _keys). free: when the last of them lets go at the latest. holders: JSON of all that hold it, the oldest first, or of those
-- that held it when nobody has it any more.
create function leasehold_internal.inspect(p_key text)
returns table (
  state text, owner text, fence bigint, session integer, alive boolean, acquired float8, renewed float8, free float8,
  ttl integer, metadata text, waiters integer, blocked boolean, blocker integer, gid text, now float8, mode text, holders text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set extra_float_digits = 1
as $$
#variable_conflict use_column
declare
  key record;
  restricted text;
begin
  restricted := leasehold_internal._allow_views();
  with known as materialized (
    select k.* from leasehold_internal._keys k where k.key = p_key
  )
  select f.*, c.blocking_pid as pid_of_any, c.blocking_transaction as gid_of_any,
         (select bool_or(k.is_blocked) from known k) as is_any_blocked,
         (select max(case k.state when 'cooling' then k.hold_until else k.expires_at end) from known k where k.rank <= 2)
           as kept_until,
         (select json_agg(json_build_object(
                   'state', k.state, 'owner', k.owner, 'fence', k.fence::text,
                   'mode', k.mode, 'weight', k.weight, 'capacity', k.capacity,
                   'session', k.session_id, 'alive', k.is_session_alive,
                   'acquired', leasehold_internal._ms(k.acquired_at),
                   'expires', leasehold_internal._ms(k.expires_at)) order by k.fence)
            from known k
           where k.is_taken and (k.rank = 1) = (f.rank = 1) and f.state in ('held', 'revoked', 'orphaned', 'expired'))::text
           as taken_by
    into key
    from (select k.* from known k order by k.rank, k.fence limit 1) f
    left join (
           select k.blocking_pid, k.blocking_transaction
             from known k
            where k.is_blocked
            order by k.blocking_pid is null and k.blocking_transaction is null, k.rank, k.fence
            limit 1) c on true;
  perform leasehold_internal._restrict_views(restricted);
  state := key.state;
  blocked := key.is_any_blocked;
  blocker := key.pid_of_any;
  gid := key.gid_of_any;
  mode := key.mode;
  holders := key.taken_by;
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
  free := leasehold_internal._ms(
    case when key.rank <= 2 then key.kept_until when state <> 'blocked' then key.expires_at end);
  ttl := key.ttl_ms;
  metadata := key.metadata::text;
  now := leasehold_internal._ms(clock_timestamp());
  return next;
end
$$;
