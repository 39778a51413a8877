-- The part of detach_lock that is about a share. Changes no key column, so it passes the guards of the share.
create function leasehold_internal._detach_share(
  p_key text, p_token uuid, p_fence bigint, p_ttl_ms integer, out outcome text, out expires float8, out reason text)
language plpgsql volatile
as $$
declare
  share leasehold.shares;
  version tid;
  moment timestamptz;
begin
  -- A renewal that is about to commit has it locked for a moment.
  for attempt in 1..3 loop
    select s.ctid into version
      from leasehold.shares s
     where s.key = p_key and s.token = p_token and s.fence = p_fence
       for no key update skip locked;
    exit when found or attempt = 3;
    perform pg_sleep(0.002);
  end loop;
  select s.* into share from leasehold.shares s where s.key = p_key and s.fence = p_fence;
  reason := case
    when share.token is distinct from p_token then 'taken'
    else leasehold_internal._share_loss(share, null, p_fence)
  end;
  if reason is not null then
    outcome := 'lost';
  elsif version is null then
    outcome := 'busy';
  else
    moment := clock_timestamp();
    update leasehold.shares s
       set session_id = null,
           takeover_ms = null,
           ttl_ms = p_ttl_ms,
           renewed_at = moment,
           expires_at = greatest(s.expires_at, least(moment + p_ttl_ms * interval '1 millisecond', s.max_hold_until))
     where s.ctid = version
    returning leasehold_internal._ms(s.expires_at) into expires;
    outcome := 'renewed';
  end if;
end
$$;
