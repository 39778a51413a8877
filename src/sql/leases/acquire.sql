-- acquire, and the look of one who waits. Reads before it writes: a try that fails leaves no trace in the WAL.
create function leasehold_internal.acquire(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_careful boolean,
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
  p_proofs bigint[] default null,
  p_former integer[] default null
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
  look float8,
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
set plan_cache_mode = force_generic_plan
set lock_timeout = '100ms'
as $$
#variable_conflict use_column
declare
  asked record;
  won record;
  lease leasehold.leases;
  is_done boolean[] := array_fill(false, array[cardinality(p_keys)]);
  is_locked boolean;
  has_grant boolean := false;
  secret bytea;
  head uuid;
  items integer[]; -- who waits for the key of the last item, behind the head of its line
  tokens uuid[];
  owners text[];
  not_afters float8[];
  tickets bigint[];
  proofs bigint[];
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_count(cardinality(p_keys));
  if exists (
    select
      from unnest(p_owners, p_ttls, p_min_holds, p_max_holds, p_metadata, p_tokens)
        as u (owner, ttl_ms, min_hold_ms, max_hold_ms, metadata, token)
     where u.token is null or not leasehold_internal._is_item(u.owner, u.ttl_ms, u.min_hold_ms, u.max_hold_ms, u.metadata))
    or p_takeover_ms < 0 then
    raise exception using errcode = '22023', message = 'a token, an owner, a duration or metadata is not within its bounds',
      detail = 'Owner: 1 to 256 bytes. TTL and maximum hold: 1 ms to 2147483647 ms. Minimum hold: 0 or more. '
        'Metadata: 65536 bytes of JSON and 100 levels at most.';
  end if;

  if p_session is not null and not leasehold_internal._is_alive(p_session, p_nonce) then
    return query
      select i, 'unproven', null::bigint, null::float8, null::float8, null::bigint, null::text, null::bigint, null::integer,
             null::float8, null::integer,
             null::text, null::float8, leasehold_internal._ms(clock_timestamp()), null::bigint
        from generate_series(1, cardinality(p_keys)) i;
    return;
  end if;

  -- One by one, in key order.
  for asked in
    select u.*, lead(u.key) over (order by u.key, u.item) is not distinct from u.key as has_next
      from unnest(p_keys, p_tokens, p_owners, p_ttls, p_min_holds, p_max_holds, p_metadata, p_not_after, p_waits,
                  p_tickets, p_proofs) with ordinality
        as u (key, token, owner, ttl_ms, min_hold_ms, max_hold_ms, metadata, not_after, waits, ticket, proof, item)
     order by u.key, u.item
  loop
    -- Behind somebody who was told his place just now: with all the others of this key, at its end.
    if head is not null and asked.waits and asked.token <> head and asked.token is distinct from lease.token
      and not is_done[asked.item] then
      items := items || asked.item::integer;
      tokens := tokens || asked.token;
      owners := owners || asked.owner;
      not_afters := not_afters || asked.not_after;
      tickets := tickets || asked.ticket;
      proofs := proofs || asked.proof;
      is_done[asked.item] := true;
    end if;
    if items is not null and not asked.has_next then
      return query
        select s.item, s.outcome, null::bigint, null::float8, s.expires, s.ticket, s.holder, s.holderfence, s.holdersession,
               s.look, s.blocker, null::text, null::float8, leasehold_internal._ms(clock_timestamp()), s.proof
          from leasehold_internal._stand(asked.key, p_session, items, tokens, owners, not_afters, tickets, proofs) s;
      items := null; tokens := null; owners := null; not_afters := null; tickets := null; proofs := null;
    end if;
    if is_done[asked.item] then
      head := case when asked.has_next then head end;
      continue;
    end if;
    item := asked.item;
    outcome := null; fence := null; acquired := null; expires := null; ticket := null;
    holder := null; holderfence := null; holdersession := null; look := null; blocker := null;
    takeover := null; since := null; proof := null;
    is_locked := false;

    if p_careful then
      perform leasehold_internal._create(asked.key);
    end if;
    lease := null;
    -- From the newest version of the row, here and below: a transaction that is open somewhere keeps the old ones, an
    -- entry in the index for some twenty of them, and to go through 30,000 took 1.7 ms instead of 0.04. So a range, for
    -- which alone "desc" means anything.
    select l.* into lease from leasehold.leases l where l.key >= asked.key and l.key <= asked.key order by l.key desc limit 1;

    if leasehold_internal._ms(clock_timestamp()) >= asked.not_after then
      outcome := 'late';
    elsif lease.key is null then
      -- Whoever inserts a key holds this lock until its transaction ends: a twin that is not committed yet is not waited for.
      outcome := 'busy';
      if not p_careful and pg_try_advisory_xact_lock(leasehold_internal._key_lock(asked.key)) then
        won := leasehold_internal._insert_grant(
          array[asked.key], array[asked.token], array[1], p_session, p_takeover_ms,
          asked.owner, asked.ttl_ms, asked.min_hold_ms, asked.max_hold_ms, asked.metadata);
        if won.items is not null then
          outcome := 'granted';
          lease.fence := won.fences::bigint;
          lease.acquired_at := won.moment;
          lease.expires_at := won.until;
        end if;
      end if;
    elsif lease.token = asked.token and lease.expires_at > clock_timestamp() and lease.revoked_at is null then
      -- The same grant, asked for again: written once, so that this commit too waits until it is durable. Once it was taken away
      -- by force it is nobody's to be granted, and this token waits for its end like the others.
      update leasehold.leases l
         set session_id = case when l.session_id = any (p_former) then p_session else l.session_id end,
             takeover_ms = case when l.session_id = any (p_former) then p_takeover_ms else l.takeover_ms end
       where l.key = (
               select k.key from leasehold.leases k
                where k.key = asked.key and k.token = asked.token
                  for no key update skip locked)
         and l.expires_at > clock_timestamp() and l.revoked_at is null
      returning l.* into lease;
      outcome := case when found then 'granted' else 'busy' end;
      if outcome = 'granted' then
        perform leasehold_internal._remove_entry(asked.key, asked.token);
      end if;
    else
      outcome := 'held';
      -- Without the lock this is a hint: who cannot be next leaves the row alone, so that looks never make the head find it busy.
      if leasehold_internal._is_next(lease, asked.token) and leasehold_internal._is_grantable(lease) then
        select l.* into lease
          from leasehold.leases l
         where l.key >= asked.key and l.key <= asked.key
         order by l.key desc
         limit 1
           for update skip locked;
        is_locked := found;
        if not is_locked then
          outcome := 'busy';
          select l.* into lease from leasehold.leases l where l.key = asked.key;
        -- With the lock it is a decision, each part in a statement that begins after the lock.
        elsif leasehold_internal._ms(clock_timestamp()) >= asked.not_after then
          outcome := 'late';
        elsif leasehold_internal._is_next(lease, asked.token) and leasehold_internal._is_grantable(lease) then
          outcome := 'granted';
          if lease.queued then
            perform leasehold_internal._leave_line(asked.key, asked.token);
          end if;
          if lease.token is not null then
            holder := lease.owner;
            holderfence := lease.fence;
            holdersession := lease.session_id;
            takeover := case when lease.expires_at <= clock_timestamp() then 'expired' else 'orphaned' end;
            since := leasehold_internal._ms(case takeover
              when 'expired' then lease.expires_at
              else (select s.seen_at from leasehold.sessions s where s.id = lease.session_id)
            end);
          end if;
          won := leasehold_internal._write_grant(
            array(
              select k.ctid from leasehold.leases k where k.key >= asked.key and k.key <= asked.key order by k.key desc limit 1),
            array[asked.token], array[1], p_session, p_takeover_ms, asked.owner, asked.ttl_ms, asked.min_hold_ms,
            asked.max_hold_ms, asked.metadata);
          lease.fence := won.fences::bigint;
          lease.acquired_at := won.moment;
          lease.expires_at := won.until;
        end if;
      end if;

      if asked.waits and outcome in ('held', 'busy') then
        secret := coalesce(secret, leasehold_internal._secret());
        -- A look that finds its place writes no more often than the place needs.
        update leasehold.waiters w
           set alive_until = clock_timestamp() + interval '3 seconds'
         where w.ctid = (
           select a.ctid
             from leasehold.waiters a
            where a.key = asked.key and a.token >= asked.token and a.token <= asked.token
              and a.alive_until < clock_timestamp() + interval '2500 milliseconds'
            order by a.token
            limit 1
              for update skip locked);
        ticket := leasehold_internal._place(asked.key, asked.token);
        if ticket is null then
          -- This lock passes a guard's key share, and orders the line.
          perform from leasehold.leases l where l.key = asked.key for no key update skip locked;
          if found then
            insert into leasehold.waiters as w (key, ticket, token, session_id, owner, enqueued_at, alive_until)
            values (asked.key,
                    -- The old place, unless a crash forgot that it was given away and gave it to another.
                    case
                      when asked.proof = leasehold_internal._proof(secret, asked.key, asked.token, asked.ticket)
                       and (
                         select o.token <> asked.token
                           from leasehold.waiters o
                          where o.key = asked.key and o.ticket >= asked.ticket and o.ticket <= asked.ticket
                          order by o.ticket
                          limit 1) is not true
                      then asked.ticket
                      else (leasehold_internal._epoch() << 40) + nextval('leasehold.tickets')
                    end,
                    asked.token, p_session, asked.owner, clock_timestamp(), clock_timestamp() + interval '3 seconds')
            on conflict (key, token) do update set alive_until = excluded.alive_until
            returning w.ticket into ticket;
            update leasehold.leases l set queued = true where l.key = asked.key and not l.queued;
            select l.* into lease from leasehold.leases l where l.key = asked.key;
            -- Freed since the hint was read: nobody was told to wake us, so we look again at once.
            if outcome = 'held' and leasehold_internal._is_grantable(lease) then
              look := 0;
            end if;
          else
            outcome := 'busy';
          end if;
        end if;
        if ticket is not null then
          proof := case
            when ticket = asked.ticket then asked.proof
            else leasehold_internal._proof(secret, asked.key, asked.token, ticket)
          end;
        end if;
        if outcome = 'held' then
          outcome := 'queued';
          look := coalesce(look, leasehold_internal._next_change(lease));
          -- A holder who chose no delay is dead as soon as its session is. Nothing tells us, so the head of the queue
          -- looks often: it takes over in 64 ms as a rule, instead of half a second. A look that changes nothing writes
          -- nothing.
          if lease.session_id is not null and lease.takeover_ms = 0 and leasehold_internal._is_next(lease, asked.token) then
            look := least(look, leasehold_internal._ms(clock_timestamp() + interval '80 milliseconds'));
          end if;
        end if;
      end if;
    end if;

    head := case
      when asked.has_next and outcome = 'queued' then leasehold_internal._head(asked.key)
      when asked.has_next then head
    end;
    now := leasehold_internal._ms(clock_timestamp());
    if outcome = 'granted' then
      fence := lease.fence;
      acquired := leasehold_internal._ms(lease.acquired_at);
      expires := leasehold_internal._ms(lease.expires_at);
      has_grant := true;
    else
      if lease.token is not null then
        expires := leasehold_internal._ms(lease.expires_at);
      elsif lease.hold_until > clock_timestamp() then
        expires := leasehold_internal._ms(lease.hold_until);
      end if;
      if expires is not null then
        holder := lease.owner;
        holderfence := lease.fence;
        holdersession := lease.session_id;
      end if;
      -- A try has nobody to tell it to.
      if outcome = 'busy' and asked.waits then
        blocker := (select b.pid from leasehold_internal._blockers(array[asked.key]) b);
      end if;
    end if;
    return next;
  end loop;

  -- Asynchronous commit lost an acknowledged fence in a crash. A place in the line does not survive one anyway, and whoever holds
  -- or is next must not find the row locked while it is written to the disk.
  if has_grant then
    perform leasehold_internal._commit_durably();
  else
    perform set_config('synchronous_commit', 'off', true);
  end if;
end
$$;
