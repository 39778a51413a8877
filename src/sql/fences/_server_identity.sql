-- What this server tells about itself. A service may keep these functions for its superuser, or not have them: then null.
-- pg_control_checkpoint() lags right after a promotion; the name of the current WAL file does not.
create function leasehold_internal._server_identity(out identifier bigint, out timeline bigint)
language plpgsql volatile
as $$
begin
  begin
    timeline := ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint;
  exception when insufficient_privilege or feature_not_supported or object_not_in_prerequisite_state then
    null;
  end;
  begin
    identifier := (select c.system_identifier from pg_control_system() c);
  exception when insufficient_privilege or feature_not_supported or object_not_in_prerequisite_state then
    null;
  end;
end
$$;
