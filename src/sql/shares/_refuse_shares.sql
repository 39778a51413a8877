-- The answers of _acquire_shares to those that were not granted: they join the queue, or are told who has the key. outcomes:
-- null, busy or late; those that are granted have their answer. Busy because somebody else has the root, or inserts it: worth
-- waiting for (acquire_busy); because of a share that an open transaction has locked: not.
create function leasehold_internal._refuse_shares(
  p_key text,
  p_session integer,
  p_items integer[],
  p_tokens uuid[],
  p_owners text[],
  p_not_after float8[],
  p_waits boolean[],
  p_tickets bigint[],
  p_proofs bigint[],
  p_weights integer[],
  p_capacities integer[],
  outcomes text[],
  is_root_locked boolean
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
declare
  lease leasehold.leases;
  is_worth_waiting boolean;
  keeper integer; -- the process whose open transaction has a share locked
  places integer[] := array(
    select p.place
      from unnest(p_waits, outcomes) with ordinality p (waits, outcome, place)
     where p.waits and (p.outcome is null or p.outcome = 'busy')
     order by p.place);
begin
  select l.* into lease from leasehold.leases l where l.key = p_key;
  is_worth_waiting := not is_root_locked and (lease.key is null or :last_was_shared);
  now := leasehold_internal._ms(clock_timestamp());
  if cardinality(places) > 0 then
    if not is_worth_waiting and 'busy' = any (outcomes) then
      -- One look at the server's locks for all of them.
      keeper := (select b.pid from leasehold_internal._blocker(p_key) b);
    end if;
    return query
      select p_items[e.item],
             -- Busy stays busy: it is to look again soon, from the queue.
             case when e.outcome = 'queued' then coalesce(outcomes[e.item], 'queued') else e.outcome end,
             null::bigint, null::float8, e.expires, e.ticket, e.holder, e.holderfence, e.holdersession,
             case
               when (e.outcome = 'busy' or outcomes[e.item] = 'busy') and is_worth_waiting then 0
               else e.nextlook
             end,
             case when e.outcome = 'queued' and outcomes[e.item] = 'busy' then keeper else e.blocker end,
             null::text, null::float8, now, e.proof
        from leasehold_internal._enqueue(
               p_key, p_session, places,
               array(select p_tokens[p] from unnest(places) p), array(select p_owners[p] from unnest(places) p),
               array(select p_not_after[p] from unnest(places) p), array(select p_tickets[p] from unnest(places) p),
               array(select p_proofs[p] from unnest(places) p), array(select p_weights[p] from unnest(places) p),
               array(select p_capacities[p] from unnest(places) p)) e;
  end if;
  if cardinality(places) < cardinality(p_items) then
    :in_the_way
    return query
      select p_items[p.place], coalesce(p.outcome, 'held'), null::bigint, null::float8, expires, null::bigint, holder,
             holderfence, holdersession,
             case when p.outcome = 'busy' and is_worth_waiting then 0::float8 end, null::integer,
             null::text, null::float8, now, null::bigint
        from unnest(p_waits, outcomes) with ordinality p (waits, outcome, place)
       where p.outcome is distinct from 'granted' and (p.waits and (p.outcome is null or p.outcome = 'busy')) is not true;
  end if;
end
$$;
