-- A role or a database may forbid views (restrict_nonsystem_relation_kind, as pg_dump sets it): those that functions here
-- read are their owner's. No clause of these functions, for a server without that setting could not make them. What it was
-- comes back.
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
