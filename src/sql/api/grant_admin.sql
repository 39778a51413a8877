-- An administrator must see who holds a lock, and takes it away with a client, which needs the rights of every client.
create function leasehold.grant_admin(role text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  perform leasehold_internal._grant(role, profile) from unnest(array['usage', 'monitoring', 'admin']) profile;
end
$$;

comment on function leasehold.grant_admin(text) is
  'Lets a role do what grant_usage and grant_monitoring allow, and also take locks from their holders, sweep, raise the epoch, '
  'and reset the marks of resources: select leasehold.grant_admin(''dba'');';
