-- Asked for each fence: a right may be taken away while the server runs. 0.3 us.
create function leasehold_internal._may_read_position() returns boolean
language sql stable
return has_function_privilege('pg_current_wal_insert_lsn()'::regprocedure, 'execute');
