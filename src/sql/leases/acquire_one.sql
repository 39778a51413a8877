-- One look at a key by a claim, with all that may come of it: the grant, a takeover, an entry in the queue. Reads before it
-- writes: a try that fails leaves no trace in the WAL. Most looks come alone, and with a scalar for each term they cost the
-- server half as much. p_is_alone: there are no others in this transaction, so it may wait for a moment. p_careful: the key has
-- no row, and to insert one would wait for another transaction (rule 6): only _create_free_lease tries, for 5 ms. nextlook:
-- when a waiter should look again. p_weight, p_capacity: a share is asked for, see _acquire_shares; null: the whole key.
create function leasehold_internal.acquire_one(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_careful boolean,
  p_key text,
  p_token uuid,
  p_owner text,
  p_ttl_ms integer,
  p_min_hold_ms integer,
  p_max_hold_ms bigint,
  p_metadata text,
  p_not_after float8,
  p_waits boolean,
  p_ticket bigint,
  p_proof bigint,
  p_former integer[],
  p_is_alone boolean default true,
  p_weight integer default null,
  p_capacity integer default null,
  out outcome text,
  out fence bigint,
  out acquired float8,
  out expires float8,
  out ticket bigint,
  out holder text,
  out holderfence bigint,
  out holdersession integer,
  out nextlook float8,
  out blocker integer,
  out takeover text,
  out since float8,
  out now float8,
  out proof bigint
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
  lease leasehold.leases;
  locked record;
  is_locked boolean := false;
  ignored text;
  won record;
  secret bytea;
  lapsed leasehold.shares;
begin
  if current_setting('transaction_isolation') <> 'read committed' or pg_is_in_recovery() then
    perform leasehold_internal._check_transaction();
  end if;
  if p_token is null or p_takeover_ms < 0
    or not leasehold_internal._are_terms_valid(p_owner, p_ttl_ms, p_min_hold_ms, p_max_hold_ms, p_metadata) then
    perform leasehold_internal._refuse_terms();
  end if;
  if not :session_is_alive then
    outcome := 'unproven';
    now := leasehold_internal._ms(clock_timestamp());
    return;
  end if;

  if p_weight is not null then
    select a.outcome, a.fence, a.acquired, a.expires, a.ticket, a.holder, a.holderfence, a.holdersession, a.nextlook, a.blocker,
           a.takeover, a.since, a.now, a.proof
      into outcome, fence, acquired, expires, ticket, holder, holderfence, holdersession, nextlook, blocker, takeover, since, now,
           proof
      from leasehold_internal._acquire_shares(
             p_session, p_takeover_ms, p_careful, p_is_alone, p_key, array[1], array[p_token], array[p_owner], array[p_ttl_ms],
             array[p_min_hold_ms], array[p_max_hold_ms], array[p_metadata], array[p_not_after], array[p_waits], array[p_ticket],
             array[p_proof], array[p_weight], array[p_capacity], p_former) a;
    if outcome <> 'granted' then
      ignored := set_config('synchronous_commit', 'off', true);
    elsif :is_commit_relaxed then
      perform leasehold_internal._commit_durably();
    end if;
    return;
  end if;

  if p_careful then
    perform leasehold_internal._create_free_lease(p_key);
  end if;
  if p_ticket is not null then
    -- A waiter that was woken, as a rule: the key is free, it is next, and nobody shared it. One statement that locks instead of
    -- one that reads, one that asks who is next, and one that locks.
    select l.ctid as version, l as lease
      into locked
      from leasehold.leases l
     where l.ctid = (select n.ctid from leasehold.leases n where n.key >= p_key and n.key <= p_key order by n.key desc limit 1)
       and l.token is null and (l.hold_until is null or l.hold_until <= clock_timestamp())
       and coalesce(
         (select w.token
            from leasehold.waiters w
           where w.key = p_key and w.alive_until > clock_timestamp()
           order by w.ticket
           limit 1) = p_token, true)
       and l.expires_at is not null -- not shared
       for update skip locked;
    is_locked := found;
    lease := locked.lease;
  end if;
  if not is_locked then
    select l.* into lease :newest_lease;
  end if;

  if leasehold_internal._ms(clock_timestamp()) >= p_not_after then
    outcome := 'late';
  elsif lease.key is null then
    -- Whoever inserts a key holds this lock until its transaction ends: a twin that is not committed yet is not waited for.
    outcome := 'busy';
    if not p_careful and pg_try_advisory_xact_lock(leasehold_internal._key_lock(p_key)) then
      won := leasehold_internal._insert_grant(
        array[p_key], array[p_token], array[1], p_session, p_takeover_ms, p_owner, p_ttl_ms, p_min_hold_ms, p_max_hold_ms,
        p_metadata);
      if won.items is not null then
        outcome := 'granted';
        lease.fence := won.fences::bigint;
        lease.acquired_at := won.moment;
        lease.expires_at := won.until;
      end if;
    end if;
  elsif lease.token = p_token and lease.expires_at > clock_timestamp() and lease.revoked_at is null then
    -- The same grant, asked for again: written once, so that this commit too waits until it is durable. Once it was taken
    -- away by force it is nobody's to be granted, and this token waits for its end like the others.
    update leasehold.leases l
       set session_id = case when l.session_id = any (p_former) then p_session else l.session_id end,
           takeover_ms = case when l.session_id = any (p_former) then p_takeover_ms else l.takeover_ms end
     where l.key = (
             select k.key from leasehold.leases k
              where k.key = p_key and k.token = p_token
                for no key update skip locked)
       and l.expires_at > clock_timestamp() and l.revoked_at is null
    returning l.* into lease;
    outcome := case when found then 'granted' else 'busy' end;
    if found then
      perform leasehold_internal._remove_entry(p_key, p_token);
    end if;
  else
    outcome := 'held';
    -- Without the lock this is a hint: who cannot be next leaves the row alone, so that looks never make the head find it
    -- busy.
    if is_locked or leasehold_internal._is_next(lease, p_token) and leasehold_internal._may_be_grantable(lease) then
      if not is_locked then
        select l.ctid as version, l as lease
          into locked
          :newest_lease
           for update skip locked;
        is_locked := found;
        if not is_locked and p_is_alone then
          perform leasehold_internal._wait_for_lease(p_key, true);
          select l.ctid as version, l as lease
            into locked
            :newest_lease
             for update skip locked;
          is_locked := found;
        end if;
        lease := locked.lease;
      end if;
      if not is_locked then
        outcome := 'busy';
        select l.* into lease from leasehold.leases l where l.key = p_key;
      -- With the lock it is a decision, each part in a statement that begins after the lock (rule 3).
      elsif leasehold_internal._ms(clock_timestamp()) >= p_not_after then
        outcome := 'late';
      elsif leasehold_internal._is_next(lease, p_token) then
        if :last_was_shared then
          lapsed := leasehold_internal._clear_shares(p_key);
        end if;
        if leasehold_internal._is_grantable(lease) then
          outcome := 'granted';
        elsif :only_ended_shares then
          if p_waits and lapsed.key is not null then
            nextlook := 0; -- there were more of them than are removed at a time
          else
            outcome := 'busy';
          end if;
        end if;
      end if;
      if outcome = 'granted' then
        if lease.queued then
          perform leasehold_internal._leave_queue(p_key, p_token);
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
        elsif lapsed.key is not null then
          :taken_over_share
        end if;
        update leasehold.leases l
           set :grant
          from (
            select p_token as token, clock_timestamp() as moment, :fence as drawn,
                   lease.queued and exists (select from leasehold.waiters w where w.key = p_key) as queued) x
         where l.ctid = locked.version
        returning l.fence, l.acquired_at, l.expires_at into lease.fence, lease.acquired_at, lease.expires_at;
      end if;
    end if;

    if p_waits and outcome in ('held', 'busy') then
      if p_ticket is not null then
        -- A look that finds its entry writes no more often than the entry needs.
        update leasehold.waiters w
           set alive_until = clock_timestamp() + interval '3 seconds', weight = null, capacity = null
         where w.ctid = (
           select a.ctid
             from leasehold.waiters a
            where a.key = p_key and a.token >= p_token and a.token <= p_token
              and (a.alive_until < clock_timestamp() + interval '2500 milliseconds' or a.weight is not null)
            order by a.token
            limit 1
              for update skip locked);
        ticket := leasehold_internal._ticket_of(p_key, p_token);
      end if;
      if ticket is null then
        secret := (select s.secret from leasehold_internal.ticket_secret s where s.id);
        -- Rule 7. This lock passes a guard's key share.
        select l.*
          into lease
          :newest_lease
           for no key update skip locked;
        if not found and p_is_alone then
          perform leasehold_internal._wait_for_lease(p_key, false);
          select l.*
            into lease
            :newest_lease
             for no key update skip locked;
        end if;
        if found then
          insert into leasehold.waiters as w (key, ticket, token, session_id, owner, enqueued_at, alive_until)
          values (p_key,
                  -- The old position, unless a crash forgot that it was given away and gave it to another.
                  case
                    when p_ticket is not null and p_proof = leasehold_internal._ticket_proof(secret, p_key, p_token, p_ticket)
                     and (
                       select o.token <> p_token
                         from leasehold.waiters o
                        where o.key = p_key and o.ticket >= p_ticket and o.ticket <= p_ticket
                        order by o.ticket
                        limit 1) is not true
                    then p_ticket
                    else (:epoch << 40) + nextval('leasehold.tickets')
                  end,
                  p_token, p_session, p_owner, clock_timestamp(), clock_timestamp() + interval '3 seconds')
          on conflict (key, token) do update set alive_until = excluded.alive_until, weight = null, capacity = null
          returning w.ticket into ticket;
          if not lease.queued then
            update leasehold.leases l set queued = true where l.key = p_key;
          end if;
          -- Freed since the hint was read: nobody was told to wake us, so we look again at once.
          if outcome = 'held' and leasehold_internal._may_be_grantable(lease) then
            nextlook := 0;
          elsif lease.token is null then
            -- A share that is being released may have been let go without seeing us.
            nextlook := leasehold_internal._ms(clock_timestamp() + interval '50 milliseconds');
          end if;
        else
          outcome := 'busy';
          select l.* into lease from leasehold.leases l where l.key = p_key;
        end if;
      end if;
      if ticket is not null then
        proof := case
          when ticket = p_ticket then p_proof
          else leasehold_internal._ticket_proof(coalesce(secret, leasehold_internal._ticket_secret()), p_key, p_token, ticket)
        end;
      end if;
      if outcome = 'held' then
        outcome := 'queued';
        nextlook := coalesce(nextlook, leasehold_internal._next_look(lease, true));
        -- A holder who chose no delay is dead as soon as its session is. Nothing tells us, so the head of the queue looks
        -- often: it takes over in 64 ms as a rule, instead of half a second. A look that changes nothing writes nothing.
        if lease.session_id is not null and lease.takeover_ms = 0 and leasehold_internal._is_next(lease, p_token) then
          nextlook := least(nextlook, leasehold_internal._ms(clock_timestamp() + interval '80 milliseconds'));
        end if;
      end if;
    end if;
  end if;

  now := leasehold_internal._ms(clock_timestamp());
  if outcome = 'granted' then
    fence := lease.fence;
    acquired := leasehold_internal._ms(lease.acquired_at);
    expires := leasehold_internal._ms(lease.expires_at);
  else
    :in_the_way
    -- A try has nobody to tell it to.
    if outcome = 'busy' then
      if :last_was_shared and (not is_locked or lapsed.key is not null) then
        nextlook := 0; -- at once, by acquire_busy
      elsif p_waits then
        blocker := (select b.pid from leasehold_internal._blocker(p_key) b);
      end if;
    end if;
  end if;

  -- Rule 9. An entry in the queue does not survive a crash anyway, and whoever holds or is next must not find the row locked
  -- while it is written to the disk.
  if outcome <> 'granted' then
    ignored := set_config('synchronous_commit', 'off', true);
  elsif :is_commit_relaxed then
    perform leasehold_internal._commit_durably();
  end if;
end
$$;
