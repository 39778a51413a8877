-- Writes the row of a session whose presence lock this connection holds. What a client says about itself is bounded. So is the
-- number of sessions per connection: it needs one, but earlier users of a pooled connection may have left theirs.
create function leasehold_internal._register_session(
  p_id integer, p_nonce uuid, p_owner text, p_host text, p_version text
) returns void
language plpgsql volatile
as $$
begin
  if (octet_length(p_owner) between 1 and 256) is not true then
    raise exception using errcode = '22023',
      message = format('an owner has 1 to 256 bytes, this one has %s', coalesce(octet_length(p_owner), 0));
  end if;
  if (select count(*) > 100
        from pg_locks k
       where k.locktype = 'advisory' and k.objsubid = 2 and k.mode = 'ExclusiveLock' and k.granted
         and k.pid = pg_backend_pid() and k.classid = :presence_class) then
    raise exception using errcode = 'LH003', message = 'this connection has 100 sessions already',
      detail = 'Each call of attach() without a number begins another one.',
      hint = 'End those that nobody needs: select leasehold.detach(<number>); or all of them: select pg_advisory_unlock_all();';
  end if;
  insert into leasehold.sessions as s (
    id, nonce, owner, pid, host, client_address, application_name, version, started_at, seen_at)
  values (p_id, p_nonce, p_owner, pg_backend_pid(), left(p_host, 255), inet_client_addr(), current_setting('application_name'),
          left(p_version, 64), clock_timestamp(), clock_timestamp())
  on conflict (id) do update
    set nonce = excluded.nonce,
        owner = excluded.owner,
        pid = excluded.pid,
        host = excluded.host,
        client_address = excluded.client_address,
        application_name = excluded.application_name,
        version = excluded.version,
        seen_at = excluded.seen_at;
end
$$;
