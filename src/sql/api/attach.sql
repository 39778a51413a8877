create function leasehold.attach(owner text default null, session integer default null) returns integer
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
declare
  own leasehold.sessions;
begin
  perform leasehold_internal._check_transaction();
  if attach.session is not null then
    own := leasehold_internal._own_session(attach.session);
    update leasehold.sessions s
       set seen_at = clock_timestamp(),
           owner = case when attach.owner is null then s.owner else leasehold_internal._owner(attach.owner) end
     where s.id = own.id;
    return own.id;
  end if;

  own.owner := leasehold_internal._owner(attach.owner);
  -- Take one lock for as long as the connection lasts. Skip a number whose last session still has its lock.
  loop
    own.id := leasehold_internal.new_session_id();
    exit when pg_try_advisory_lock(:presence_class, own.id);
  end loop;
  begin
    perform leasehold_internal._register_session(
      own.id, gen_random_uuid(), own.owner, coalesce(host(inet_client_addr()), 'local'), 'sql');
  exception when others then
    perform pg_advisory_unlock(:presence_class, own.id); -- a session-level lock, which no rollback releases
    raise;
  end;
  return own.id;
end
$$;

comment on function leasehold.attach(text, integer) is
  'Begins a session of this connection and returns its number: select leasehold.attach(); Locks that are acquired with it, '
  'try_acquire(..., session => <number>), are tied to the connection: when it ends, for whatever reason, they are free at once, '
  'or 5 s after the last call of attach(), whichever is later, instead of at their TTL. They still expire at their TTL unless '
  'they are renewed. It needs a connection of its own, not one behind a transaction pooler, and no open transaction. With a '
  'number, attach(session => <number>), it is a heartbeat; without one it begins another session. "owner": how others see it.';
