create function leasehold.grant_monitoring(role text) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  select leasehold_internal._grant(role, 'monitoring');
$$;

comment on function leasehold.grant_monitoring(text) is
  'Lets a role read the views of this schema, and ask leasehold.check() about a key, and nothing else: select '
  'leasehold.grant_monitoring(''grafana'');';
