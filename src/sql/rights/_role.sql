-- The role to grant something to. Also takes a name as psql would.
create function leasehold_internal._role(given text) returns name
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  target name;
begin
  -- Two concurrent grants on one object fail with "tuple concurrently updated". migrate() takes this lock, too.
  perform pg_advisory_xact_lock(:maintenance_class, 0);

  -- First try the exact name, so that 'App' needs no quotes of its own. Then try what psql users write: app, "App".
  select rolname into target from pg_roles where rolname = given;
  if target is null then
    begin
      select rolname into target from pg_roles where oid = to_regrole(given);
    exception when invalid_name or syntax_error or name_too_long then
      target := null; -- not an identifier, so not the name of a role
    end;
  end if;
  if target is null then
    raise exception 'role "%" does not exist', given
      using errcode = 'undefined_object',
            hint = 'Create it first, or look up its exact name with: select rolname from pg_roles;';
  end if;
  return target;
end;
$$;
