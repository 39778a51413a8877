create function leasehold.check(key text)
returns table (
  state text, owner text, fence bigint, session_id integer, is_session_alive boolean, acquired_at timestamptz,
  renewed_at timestamptz, expires_at timestamptz, remaining interval, ttl interval, metadata jsonb, waiters integer,
  blocking_pid integer, blocking_transaction text, mode text, holders jsonb)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
#variable_conflict use_column
declare
  answer record;
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_key("check".key);
  select a.* into answer from leasehold_internal.inspect("check".key collate "C") a;
  waiters := answer.waiters;
  blocking_pid := answer.blocker;
  blocking_transaction := answer.gid;
  state := answer.state;
  if state <> 'free' then
    owner := answer.owner;
    fence := answer.fence;
    acquired_at := to_timestamp(answer.acquired / 1000);
    metadata := answer.metadata::jsonb;
    mode := answer.mode;
    holders := (
      select jsonb_agg(jsonb_build_object(
               'state', h.state, 'owner', h.owner, 'fence', h.fence, 'mode', h.mode, 'weight', h.weight, 'capacity', h.capacity,
               'session_id', h.session, 'is_session_alive', h.alive,
               'acquired_at', to_timestamp(h.acquired / 1000), 'expires_at', to_timestamp(h.expires / 1000)) order by h.number)
        from rows from (
               json_to_recordset(answer.holders::json) as (
                 state text, owner text, fence text, mode text, weight integer, capacity integer, session integer, alive boolean,
                 acquired float8, expires float8)) with ordinality
          h (state, owner, fence, mode, weight, capacity, session, alive, acquired, expires, number));
  end if;
  if state not in ('free', 'blocked') then
    expires_at := to_timestamp(answer.free / 1000);
    remaining := greatest(expires_at - clock_timestamp(), interval '0');
  end if;
  if state in ('held', 'revoked', 'expired', 'orphaned') then
    session_id := answer.session;
    is_session_alive := answer.alive;
    renewed_at := nullif(to_timestamp(answer.renewed / 1000), acquired_at);
    ttl := answer.ttl * interval '1 millisecond';
  end if;
  return next;
end
$$;

comment on function leasehold.check(text) is
  'Who holds the key: select * from leasehold.check(''report:daily''); Returns one row; locks and changes nothing. state: '
  'free; held; revoked (an operator took it away, and its holder has not let go yet); cooling (released, but not granted to '
  'anybody until its minimum hold ends); blocked (kept by an open transaction: one that guarded it before its release, or '
  'one in which it was granted and that is not committed); orphaned (its holder has died); expired (nobody renewed it). A '
  'key that is orphaned or expired is granted to the next who asks. blocking_pid is the server process of the open '
  'transaction that keeps the key, blocking_transaction the name of a prepared one; both null: there is none, or it cannot '
  'be told which. mode: exclusive, shared (a read lock) or semaphore. Of several who share the key these columns tell of '
  'the oldest holder, and expires_at of the last one to end; "holders" has all of them, the oldest first, each with state, '
  'owner, fence (as a text), mode, weight, capacity, session_id, is_session_alive, acquired_at and expires_at. Null: nobody '
  'holds it.';
