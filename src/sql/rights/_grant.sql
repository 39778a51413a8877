create function leasehold_internal._grant(role text, given text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  execute format('grant select (%I) on leasehold_internal._granted to %I', given, leasehold_internal._role(role));
  perform leasehold_internal._tidy_rights();
end
$$;
