-- Who takes a lock away must see from whom, and does it with a client, whose session needs what all clients need.
create function leasehold.grant_admin(role text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  perform leasehold_internal._grant(role, profile) from unnest(array['usage', 'monitoring', 'admin']) profile;
end
$$;

comment on function leasehold.grant_admin(text) is
  'Lets a role do what grant_usage and grant_monitoring let it do, and also take locks from their holders, sweep, raise the '
  'epoch, and reset the marks of resources: select leasehold.grant_admin(''dba'');';
