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
  joined integer := 0;
begin
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
  if exists (select from unnest(p_tokens) u (token) where leasehold_internal._ticket_of(p_key, u.token) is null) then
    perform from leasehold.leases l where l.key = p_key for no key update skip locked;
    if found then
      insert into leasehold.waiters (key, ticket, token, session_id, owner, weight, capacity, enqueued_at, alive_until)
      select p_key,
             case
               when u.ticket is not null and u.proof = leasehold_internal._ticket_proof(secret, p_key, u.token, u.ticket)
                and not exists (
                  select from leasehold.waiters o where o.key = p_key and o.ticket = u.ticket and o.token <> u.token)
               then u.ticket
               else ((select leasehold_internal._epoch()) << 40) + nextval('leasehold.tickets')
             end,
             u.token, p_session, u.owner, u.weight, u.capacity, clock_timestamp(), clock_timestamp() + interval '3 seconds'
        from unnest(p_tokens, p_owners, p_not_after, p_tickets, p_proofs, p_weights, p_capacities)
          u (token, owner, not_after, ticket, proof, weight, capacity)
       where leasehold_internal._ms(clock_timestamp()) < u.not_after
         and leasehold_internal._ticket_of(p_key, u.token) is null
      on conflict do nothing;
      get diagnostics joined = row_count;
      update leasehold.leases l set queued = true where l.key = p_key and not l.queued;
    else
      select l.* into lease from leasehold.leases l where l.key = p_key;
      if not :last_was_shared then
        blocker := (select b.pid from leasehold_internal._blocker(p_key) b);
      end if;
    end if;
  end if;

  select l.* into lease from leasehold.leases l where l.key = p_key;
  :in_the_way
  nextlook := leasehold_internal._next_look(lease, p_weights is null);
  if joined > 0 and lease.token is null then
    -- A share that is being released may have been let go without seeing them.
    nextlook := leasehold_internal._ms(clock_timestamp() + interval '50 milliseconds');
  end if;
  return query
    select u.item,
           case
             when w.ticket is not null then 'queued'
             when leasehold_internal._ms(clock_timestamp()) >= u.not_after then 'late'
             else 'busy'
           end,
           expires,
           w.ticket,
           case
             when w.ticket = u.ticket then u.proof
             else leasehold_internal._ticket_proof(secret, p_key, u.token, w.ticket)
           end,
           holder,
           holderfence,
           holdersession,
           nextlook,
           case when w.ticket is null then blocker end
      from unnest(p_items, p_tokens, p_not_after, p_tickets, p_proofs) u (item, token, not_after, ticket, proof)
     cross join lateral (select leasehold_internal._ticket_of(p_key, u.token) as ticket) w;
end
$$;
