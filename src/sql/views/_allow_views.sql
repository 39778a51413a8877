-- Allows views to functions that read one, and returns the old value for _restrict_views. A role or a database may forbid views
-- (restrict_nonsystem_relation_kind, as pg_dump does), but ours belong to the functions' owner. Not a SET clause of those
-- functions: a server without that setting could not create them.
create function leasehold_internal._allow_views() returns text
language plpgsql volatile
as $$
declare
  restricted text := current_setting('restrict_nonsystem_relation_kind', true);
begin
  if restricted <> '' then
    perform set_config('restrict_nonsystem_relation_kind', '', true);
  end if;
  return restricted;
end
$$;
