-- Those of a batch of looks that want shares of one key. Places: which they are.
create function leasehold_internal._look_for_shares(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_careful boolean,
  p_key text,
  places integer[],
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
  p_weights integer[],
  p_capacities integer[],
  p_former integer[]
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
language plpgsql volatile
as $$
#variable_conflict use_column
begin
  if p_takeover_ms < 0 or exists (
    select from unnest(places) p (place)
     where leasehold_internal._are_terms_valid(
             p_owners[p.place], p_ttls[p.place], p_min_holds[p.place], p_max_holds[p.place], p_metadata[p.place]) is not true
  ) then
    perform leasehold_internal._refuse_terms();
  end if;
  if not :session_is_alive then
    return query
      select p.place, 'unproven', null::bigint, null::float8, null::float8, null::bigint, null::text, null::bigint, null::integer,
             null::float8, null::integer, null::text, null::float8, leasehold_internal._ms(clock_timestamp()), null::bigint
        from unnest(places) p (place);
    return;
  end if;
  return query
    select a.*
      from (
        select array_agg(p.place order by p.number) as items,
               array_agg(p_tokens[p.place] order by p.number) as tokens,
               array_agg(p_owners[p.place] order by p.number) as owners,
               array_agg(p_ttls[p.place] order by p.number) as ttls,
               array_agg(p_min_holds[p.place] order by p.number) as min_holds,
               array_agg(p_max_holds[p.place] order by p.number) as max_holds,
               array_agg(p_metadata[p.place] order by p.number) as metadata,
               array_agg(p_not_after[p.place] order by p.number) as not_after,
               array_agg(p_waits[p.place] order by p.number) as waits,
               array_agg(p_tickets[p.place] order by p.number) as tickets,
               array_agg(p_proofs[p.place] order by p.number) as proofs,
               array_agg(p_weights[p.place] order by p.number) as weights,
               array_agg(p_capacities[p.place] order by p.number) as capacities
          from unnest(places) with ordinality p (place, number)) x
     cross join lateral leasehold_internal._acquire_shares(
       p_session, p_takeover_ms, p_careful, false, p_key, x.items, x.tokens, x.owners, x.ttls, x.min_holds, x.max_holds,
       x.metadata, x.not_after, x.waits, x.tickets, x.proofs, x.weights, x.capacities, p_former) a;
end
$$;
