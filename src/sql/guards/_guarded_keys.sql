-- The keys that this transaction guards, with their fences, from the setting of one key (_guards_setting). The setting is local
-- to the transaction, and rolling back to a savepoint undoes what was written after it. It contains the transaction's number,
-- because anybody may set it for a whole session.
create function leasehold_internal._guarded_keys(p_key text) returns jsonb
language plpgsql volatile
as $$
declare
  recorded jsonb := nullif(current_setting(leasehold_internal._guards_setting(p_key), true), '')::jsonb;
begin
  return case when recorded ->> 'xid' = pg_current_xact_id_if_assigned()::text then recorded -> 'keys' else '{}' end;
end
$$;
