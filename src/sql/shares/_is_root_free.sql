-- Whether a key is not held exclusively. Whether its shares leave room is another question.
create function leasehold_internal._is_root_free(lease leasehold.leases) returns boolean
language plpgsql volatile
as $$
begin
  if lease.token is null then
    return lease.hold_until is null or lease.hold_until <= clock_timestamp();
  end if;
  return lease.expires_at <= clock_timestamp() or leasehold_internal._is_dead(lease.session_id, lease.takeover_ms);
end
$$;
