-- The keys in that setting that this transaction guards, with their fences. It is local to the transaction, and a rollback to
-- a savepoint undoes what was written after it; the transaction's number is in it because anybody may set it for a whole
-- session.
create function leasehold_internal._guards(p_key text) returns jsonb
language plpgsql volatile
as $$
declare
  recorded jsonb := nullif(current_setting(leasehold_internal._guards_setting(p_key), true), '')::jsonb;
begin
  return case when recorded ->> 'xid' = pg_current_xact_id_if_assigned()::text then recorded -> 'keys' else '{}' end;
end
$$;
