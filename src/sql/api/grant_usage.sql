create function leasehold.grant_usage(role text) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  select leasehold_internal._grant(role, 'usage');
$$;

comment on function leasehold.grant_usage(text) is
  'Lets a role take locks, with the Leasehold client and in SQL, and guard and fence its writes, without any right to the '
  'tables: select leasehold.grant_usage(''app'');';
