-- Enters many waiters into the queue of one key, behind its head, or extends the entries that they have already. This is what
-- acquire_one does for each of them, in four statements: one by one, 10,000 took longer than a request may. p_weights,
-- p_capacities: of those that wait for shares; null, or null for one of them: it waits for the whole key.
create function leasehold_internal._enqueue(
  p_key text,
  p_session integer,
  p_items integer[],
  p_tokens uuid[],
  p_owners text[],
  p_not_after float8[],
  p_tickets bigint[],
  p_proofs bigint[],
  p_weights integer[] default null,
  p_capacities integer[] default null
) returns table (
  item integer,
  outcome text,
  expires float8,
  ticket bigint,
  proof bigint,
  holder text,
  holderfence bigint,
  holdersession integer,
  nextlook float8,
  blocker integer
)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  lease leasehold.leases;
  secret bytea := leasehold_internal._ticket_secret();
  known record;
  is_locked boolean := false;
begin
  select array_agg(e.ticket order by u.place) as tickets,
         bool_or(e.ticket is null) as is_any_missing,
         bool_or(e.alive_until < clock_timestamp() + interval '2500 milliseconds') as is_any_old,
         bool_or(e.ticket is not null and (e.weight is distinct from u.weight or e.capacity is distinct from u.capacity))
           as is_any_changed
    into known
    from unnest(p_tokens, p_weights, p_capacities) with ordinality u (token, weight, capacity, place)
    left join lateral (
      select k.ticket, k.alive_until, k.weight, k.capacity
        from leasehold.waiters k
       where k.key = p_key and k.token >= u.token and k.token <= u.token
       order by k.token
       limit 1) e on true;
  if known.is_any_old then
    with entry as materialized (
      select a.version
        from unnest(p_tokens, p_not_after) u (token, not_after)
        join lateral (
          select k.token, k.ctid as version
            from leasehold.waiters k
           where k.key = p_key and k.token >= u.token and k.token <= u.token
             and k.alive_until < clock_timestamp() + interval '2500 milliseconds'
             and leasehold_internal._ms(clock_timestamp()) < u.not_after
           order by k.token
           limit 1
             for update skip locked) a on a.token = u.token
    )
    update leasehold.waiters w
       set alive_until = clock_timestamp() + interval '3 seconds'
      from entry e
     where w.ctid = e.version;
  end if;
  if known.is_any_missing or known.is_any_changed then
    -- Rule 7.
    perform from leasehold.leases l where l.key = p_key for no key update skip locked;
    is_locked := found;
  end if;

  select l.* into lease from leasehold.leases l where l.key = p_key;
  :in_the_way
  if is_locked and lease.token is null then
    -- A share that is being released may have been let go without seeing them.
    nextlook := leasehold_internal._ms(clock_timestamp() + interval '50 milliseconds');
  else
    nextlook := leasehold_internal._next_look(lease, p_weights is null);
  end if;
  if is_locked then
    update leasehold.leases l set queued = true where l.key = p_key and not l.queued;
    if known.is_any_changed then
      -- Asked for on other terms since: with these it may fit.
      update leasehold.waiters w
         set weight = u.weight, capacity = u.capacity
        from unnest(p_tokens, p_weights, p_capacities) u (token, weight, capacity)
       where w.key = p_key and w.token = u.token
         and (w.weight is distinct from u.weight or w.capacity is distinct from u.capacity);
      nextlook := 0;
    end if;
  elsif known.is_any_missing and not :last_was_shared then
    blocker := (select b.pid from leasehold_internal._blocker(p_key) b);
  end if;
  return query
    with joined as (
      insert into leasehold.waiters as w (key, ticket, token, session_id, owner, weight, capacity, enqueued_at, alive_until)
      select p_key,
             case
               when u.ticket is not null and u.proof = leasehold_internal._ticket_proof(secret, p_key, u.token, u.ticket)
                and not exists (
                  select from leasehold.waiters o where o.key = p_key and o.ticket = u.ticket and o.token <> u.token)
               then u.ticket
               else ((select leasehold_internal._epoch()) << 40) + nextval('leasehold.tickets')
             end,
             u.token, p_session, u.owner, u.weight, u.capacity, clock_timestamp(), clock_timestamp() + interval '3 seconds'
        from unnest(p_tokens, p_owners, p_not_after, p_tickets, p_proofs, p_weights, p_capacities, known.tickets)
          u (token, owner, not_after, ticket, proof, weight, capacity, known)
       where is_locked and u.known is null and leasehold_internal._ms(clock_timestamp()) < u.not_after
          on conflict do nothing
      returning w.token, w.ticket
    )
    select u.item,
           case
             when t.ticket is not null then 'queued'
             when leasehold_internal._ms(clock_timestamp()) >= u.not_after then 'late'
             else 'busy'
           end,
           expires,
           t.ticket,
           case
             when t.ticket = u.ticket then u.proof
             else leasehold_internal._ticket_proof(secret, p_key, u.token, t.ticket)
           end,
           holder,
           holderfence,
           holdersession,
           nextlook,
           case when t.ticket is null then blocker end
      from unnest(p_items, p_tokens, p_not_after, p_tickets, p_proofs, known.tickets)
        u (item, token, not_after, ticket, proof, known)
      left join joined j on j.token = u.token
     cross join lateral (select coalesce(u.known, j.ticket) as ticket) t;
end
$$;
