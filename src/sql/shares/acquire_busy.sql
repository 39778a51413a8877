-- Looks at one key that is shared and whose root somebody else had locked, once that is over. Holds nothing else meanwhile, so it
-- keeps nobody waiting in turn.
create function leasehold_internal.acquire_busy(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_keys text[],
  p_tokens uuid[],
  p_owners text[],
  p_ttls integer[],
  p_min_holds integer[],
  p_max_holds bigint[],
  p_metadata text[],
  p_not_after float8[],
  p_waits boolean[],
  p_tickets bigint[],
  p_proofs bigint[],
  p_former integer[],
  p_weights integer[],
  p_capacities integer[]
) returns table (
  item integer,
  outcome text,
  fence bigint,
  acquired float8,
  expires float8,
  ticket bigint,
  holder text,
  holderfence bigint,
  holdersession integer,
  nextlook float8,
  blocker integer,
  takeover text,
  since float8,
  now float8,
  proof bigint
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set lock_timeout = '100ms'
as $$
#variable_conflict use_column
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._lock_shared_root(p_keys[1]);
  return query
    select a.*
      from leasehold_internal.acquire(
        p_session, p_nonce, p_takeover_ms, false, p_keys, p_tokens, p_owners, p_ttls, p_min_holds, p_max_holds, p_metadata,
        p_not_after, p_waits, p_tickets, p_proofs, p_former, p_weights, p_capacities) a;
end
$$;
