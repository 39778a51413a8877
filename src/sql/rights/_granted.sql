-- Holds the marks of _profiles.
create view leasehold_internal._granted as select null::boolean as usage, null::boolean as monitoring, null::boolean as admin;

comment on view leasehold_internal._granted is
  'A role that may read a column of this view was given the rights of that name, by grant_usage, grant_monitoring or '
  'grant_admin. It has no other content.';
