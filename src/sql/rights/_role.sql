-- The role that is to be granted something, also under a name that psql would take.
create function leasehold_internal._role(given text) returns name
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  target name;
begin
  -- Two grants at once on one object fail with "tuple concurrently updated"; migrate() holds this lock, too.
  perform pg_advisory_xact_lock(:maintenance_class, 0);

  -- The exact name first, so that 'App' needs no quotes of its own; then what psql users write: app, "App".
  select rolname into target from pg_roles where rolname = given;
  if target is null then
    begin
      select rolname into target from pg_roles where oid = to_regrole(given);
    exception when invalid_name or syntax_error or name_too_long then
      target := null; -- not an identifier, so no role's name either
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
