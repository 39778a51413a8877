-- Fails with the line to run if the caller may not execute a function for administrators. The rights themselves are those of
-- that function.
create function leasehold_internal.require_admin(needed text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if not has_function_privilege(needed, 'execute') then
    raise exception using errcode = 'insufficient_privilege',
      message = format('the role %I is no administrator of the schema leasehold', current_user),
      detail = 'Taking locks from their holders and sweeping by hand is for administrators.',
      hint = format('As the owner of the schema, run: select leasehold.grant_admin(%L);', current_user);
  end if;
end
$$;
