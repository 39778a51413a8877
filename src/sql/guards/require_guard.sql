-- The client's second statement. Outside a transaction the guard has ended with the first one, and a single statement cannot
-- notice that (decision 21).
create function leasehold_internal.require_guard(p_key text, p_fence bigint) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
declare
  guarded jsonb;
begin
  guarded := leasehold_internal._guarded_keys(p_key);
  if ((guarded ->> p_key)::bigint = p_fence
      or (guarded ->> leasehold_internal._share_guard(p_key))::bigint = p_fence) is not true then
    raise exception using errcode = 'LH005',
      message = format('the guard of %L has already ended: there is no open transaction', p_key),
      hint = 'Guard and write in one transaction: begin; select leasehold.guard(...); ...; commit;';
  end if;
end
$$;
