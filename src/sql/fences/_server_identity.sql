-- System identifier and timeline of this server. Null where a hosted service reserves these functions for its superuser or
-- lacks them. The timeline comes from the name of the current WAL file: pg_control_checkpoint() lags right after a promotion.
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
