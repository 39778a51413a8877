-- The guard of the client, which knows in which database its lease is.
create function leasehold_internal.guard(p_key text, p_fence bigint, p_timeout_ms integer, p_database_id text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
as $$
begin
  if p_database_id is distinct from leasehold_internal.database_id() then
    raise exception using errcode = 'LH007',
      message = format('the lease of %L is in another database than %I, where this transaction writes',
                       p_key, current_database()),
      detail = 'A guard works where the lease and the data are in one database.',
      hint = 'Make the lock with a locker for this database, or protect the writes with fence_table or check_fence.';
  end if;
  perform leasehold_internal._guard(p_key, p_fence, p_timeout_ms);
end
$$;
