-- One look of call leasehold.acquire(...): what a client asks, and, where the key was not granted, how long to sleep until the
-- next one. All that the procedure must decide is decided here, because its own body runs under its caller's search_path
-- (rule 11).
--
-- From one look to the next: token, ticket and proof, as a client keeps them (decision 18); since, when the wait began; looked
-- and grants, see _seconds_to_look. is_late: the wait is over, and its entry is gone.
create function leasehold_internal.look(
  key text,
  wait interval,
  ttl interval,
  owner text,
  metadata jsonb,
  session integer,
  shared boolean,
  capacity integer,
  weight integer,
  inout token uuid,
  inout ticket bigint,
  inout proof bigint,
  inout since float8,
  inout looked float8,
  inout grants bigint,
  out fence bigint,
  out expires_at timestamptz,
  out is_done boolean,
  out is_late boolean,
  out seconds float8
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  now float8 := leasehold_internal._ms(clock_timestamp());
  bound float8; -- when the wait is over
  ttl_ms integer;
  share_weight integer;
  own leasehold.sessions;
  outcome text := 'busy';
  expires float8;
  place bigint;
  place_proof bigint;
  nextlook float8;
  lease leasehold.leases;
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_key(look.key);
  ttl_ms := leasehold_internal._ttl_ms(ttl);
  share_weight := leasehold_internal._check_share(look.shared, look.capacity, look.weight);
  perform leasehold_internal._check_metadata(metadata);
  own := leasehold_internal._own_session(look.session);
  since := coalesce(since, now);
  bound := since + leasehold_internal._wait_ms(wait);
  token := coalesce(token, gen_random_uuid());

  -- A row or a table that somebody keeps locked, or a key that he has inserted and not committed, is waited for: ask again.
  begin
    -- The last look is made when the wait is over. One that is held up for longer than a second is too late (rule 8).
    select a.outcome, a.fence, a.expires, a.ticket, a.proof, a.nextlook
      into outcome, fence, expires, place, place_proof, nextlook
      from leasehold_internal.acquire_one(
             own.id, own.nonce, case when own.id is not null then 5000 end, false,
             look.key collate "C", token, leasehold_internal._owner(coalesce(look.owner, own.owner)), ttl_ms, 0, null,
             metadata::text, bound + 1000, now < bound, ticket, proof, null,
             p_weight => share_weight,
             p_capacity => look.capacity) a;
  exception when lock_not_available or deadlock_detected then
    null; -- busy
  end;

  is_done := false;
  is_late := false;
  if outcome = 'granted' then
    expires_at := to_timestamp(expires / 1000);
    is_done := true;
    -- Others of the queue fit beside it.
    if nextlook = 0 then
      perform leasehold_internal._wake(s.session)
         from unnest(leasehold_internal._sessions_to_wake(look.key collate "C")) s (session);
    end if;
  elsif now >= bound then
    -- As abandon does, but for the lease: no look of this wait was granted one, and one of this token is from before.
    if leasehold_internal._remove_entry(look.key collate "C", token) then
      select l.* into lease from leasehold.leases l where l.key = look.key collate "C";
      if leasehold_internal._is_root_free(lease) then
        perform leasehold_internal._wake(s.session)
           from unnest(leasehold_internal._sessions_to_wake(look.key collate "C")) s (session);
      end if;
    end if;
    is_done := true;
    is_late := true;
  else
    if place is not null then
      ticket := place;
      proof := place_proof;
    end if;
    select s.grants, s.seconds into grants, seconds
      from leasehold_internal._seconds_to_look(look.key collate "C", ticket, since, looked, now, grants) s;
    -- Sooner, where it is known when the key may be free: when a lease ends, or at once.
    seconds := greatest(least(
      seconds,
      (bound - now) / 1000,
      case when outcome <> 'busy' and (nextlook = 0 or nextlook > now) then (nextlook - now) / 1000 end), 0);
    looked := now;
  end if;
end
$$;
