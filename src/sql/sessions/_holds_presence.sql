-- Whether this connection holds the presence lock of a session.
create function leasehold_internal._holds_presence(session integer) returns boolean
language sql volatile
begin atomic
  select exists (
    select from pg_locks k
     where k.locktype = 'advisory' and k.objsubid = 2 and k.mode = 'ExclusiveLock' and k.granted and k.pid = pg_backend_pid()
       and k.classid = :presence_class and k.objid = session::oid
       and k.database = (select d.oid from pg_database d where d.datname = current_database()));
end;
