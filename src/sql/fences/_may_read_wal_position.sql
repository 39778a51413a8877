-- Checked for each fence (0.3 us), because the right can be revoked while the server runs.
create function leasehold_internal._may_read_wal_position() returns boolean
language sql stable
return has_function_privilege('pg_current_wal_insert_lsn()'::regprocedure, 'execute');
