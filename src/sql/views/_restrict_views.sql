create function leasehold_internal._restrict_views(restricted text) returns void
language plpgsql volatile
as $$
begin
  if restricted <> '' then
    perform set_config('restrict_nonsystem_relation_kind', restricted, true);
  end if;
end
$$;
