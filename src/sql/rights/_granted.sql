-- For the marks of _profiles.
create view leasehold_internal._granted as select null::boolean as usage, null::boolean as monitoring, null::boolean as admin;

comment on view leasehold_internal._granted is
  'Whoever may read a column was given the rights of that name, by grant_usage, grant_monitoring or grant_admin. It says nothing '
  'else.';
