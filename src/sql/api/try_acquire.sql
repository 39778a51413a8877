create function leasehold.try_acquire(
  key text, ttl interval default '30 s', owner text default null, metadata jsonb default null, session integer default null,
  shared boolean default false, capacity integer default null, weight integer default null)
returns table (acquired boolean, token uuid, fence bigint, expires_at timestamptz, holder text, holder_expires_at timestamptz)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
#variable_conflict use_column
declare
  own leasehold.sessions;
  ttl_ms integer;
  share_weight integer;
  answer record;
  worth_waiting boolean := false; -- for a share that is being granted
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_key(try_acquire.key);
  ttl_ms := leasehold_internal._ttl_ms(ttl);
  share_weight := leasehold_internal._check_share(try_acquire.shared, try_acquire.capacity, try_acquire.weight);
  perform leasehold_internal._check_metadata(metadata);
  own := leasehold_internal._own_session(try_acquire.session);

  token := gen_random_uuid();
  -- Do not give up because of a row that is locked for a moment, by a guard or by a grant that is about to commit. The client
  -- does the same.
  for attempt in 1..3 loop
    begin
      if worth_waiting then
        perform leasehold_internal._lock_shared_root(try_acquire.key collate "C");
      end if;
      select a.* into answer
        from leasehold_internal.acquire(
               own.id, own.nonce, case when own.id is not null then 5000 end, false,
               array[try_acquire.key collate "C"], array[token],
               array[leasehold_internal._owner(coalesce(try_acquire.owner, own.owner))],
               array[ttl_ms], array[0], array[null::bigint], array[metadata::text], array['infinity'::float8],
               array[false], array[null::bigint],
               p_weights => array[share_weight],
               p_capacities => array[try_acquire.capacity]) a;
      -- Undone: the locks that it took, for the caller's transaction may stay open, and the durability that it has lowered
      -- (rule 9), for the caller may write besides.
      if answer.outcome <> 'granted' then
        raise exception using errcode = 'LHX01', message = 'not granted';
      end if;
    exception
      when sqlstate 'LHX01' then
        null;
      when lock_not_available or deadlock_detected then
        if not worth_waiting then
          raise;
        end if;
        exit; -- not about to commit: a transaction that called this function and was left open
    end;
    exit when answer.outcome <> 'busy' or attempt = 3;
    worth_waiting := answer.nextlook is not distinct from 0;
    if not worth_waiting then
      perform pg_sleep(0.005 * attempt);
    end if;
  end loop;

  acquired := answer.outcome = 'granted';
  if acquired then
    fence := answer.fence;
    expires_at := to_timestamp(answer.expires / 1000);
  else
    token := null;
    holder := answer.holder;
    holder_expires_at := to_timestamp(answer.expires / 1000);
  end if;
  return next;
end
$$;

comment on function leasehold.try_acquire(text, interval, text, jsonb, integer, boolean, integer, integer) is
  'Acquires the lock if it is free and nobody waits for it: select * from leasehold.try_acquire(''report:daily'', ttl => '
  '''5 min''); Returns one row. "session": the number that attach() gave on this connection, which ties the lock to the '
  'connection. acquired: token is the secret for renew and release, fence the fencing token for guard. Otherwise holder and '
  'holder_expires_at say who has it; both are null if the key is free but others are in its queue, or a transaction keeps '
  'its row locked. It does not wait, but up to 200 ms for a grant of a share to be committed: ask again. In a transaction '
  'that stays open nobody has the lock before the commit, and until then the key is kept from everybody; so commit first. '
  '"shared": a read lock, which any number hold together: shared => true. "capacity": a part of a semaphore, which holds as '
  'many as fit: capacity => 5, and weight => 2 for a '
  'larger part than 1. Both are held beside others who share the key, never beside one who has it alone. Fails with LH003 '
  'if an argument is invalid, and with LH004 on a standby, under another isolation level than read committed, and if the '
  'session is not one of this connection.';
