-- Whether a key is not held exclusively. Whether its shares leave room is another question.
create function leasehold_internal._is_root_free(lease leasehold.leases) returns boolean
language plpgsql volatile
as $$
begin
  if :last_was_shared then
    return true;
  end if;
  return leasehold_internal._is_grantable(lease);
end
$$;
