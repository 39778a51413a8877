-- The part of adopt that is about a share. Its token is part of a key, so the row is locked as for a deletion: whoever guards
-- the share in an open transaction is waited for.
create function leasehold_internal._adopt_share(
  p_session integer,
  p_takeover_ms integer,
  p_key text,
  p_token uuid,
  p_fence bigint,
  p_new_token uuid,
  p_owner text,
  p_ttl_ms integer,
  p_max_hold_ms bigint,
  p_not_after float8,
  p_former integer[],
  out outcome text,
  out reason text,
  out holder text,
  out acquired float8,
  out expires float8,
  out maxhold float8,
  out metadata text,
  out weight integer,
  out capacity integer
)
language plpgsql volatile
as $$
declare
  share leasehold.shares;
  version tid;
  successor integer;
  moment timestamptz;
begin
  -- A renewal that is about to commit has it locked for a moment.
  for attempt in 1..3 loop
    select s.ctid into version from leasehold.shares s where s.key = p_key and s.fence = p_fence for update skip locked;
    exit when found or attempt = 3;
    perform pg_sleep(0.002);
  end loop;
  select s.* into share from leasehold.shares s where s.key = p_key and s.fence = p_fence;
  reason := case
    when share.token in (p_token, p_new_token) then leasehold_internal._share_loss(share, null, p_fence)
    else 'taken' -- by another who has adopted it
  end;
  successor := case
    when reason is null and version is not null then leasehold_internal._session_after_renewal(
      share.session_id, share.takeover_ms, p_session, p_former) end;
  if leasehold_internal._ms(clock_timestamp()) >= p_not_after then
    outcome := 'late';
    reason := null;
  elsif reason is not null then
    outcome := 'lost';
  elsif version is null then
    outcome := 'busy';
  elsif successor <> p_session or successor is not null and p_session is null then
    outcome := 'attached';
    holder := share.owner;
  else
    outcome := 'adopted';
    moment := clock_timestamp();
    update leasehold.shares s
       set token = p_new_token,
           owner = p_owner,
           session_id = p_session,
           takeover_ms = case when p_session is not null then p_takeover_ms end,
           ttl_ms = p_ttl_ms,
           renewed_at = moment,
           max_hold_until = least(s.max_hold_until, moment + p_max_hold_ms * interval '1 millisecond'),
           expires_at = greatest(
             case when s.token = p_new_token then s.expires_at end, -- its new holder believes in what it was answered
             least(
               moment + p_ttl_ms * interval '1 millisecond', s.max_hold_until, moment + p_max_hold_ms * interval '1 millisecond'))
     where s.ctid = version
    returning s.* into share;
    acquired := leasehold_internal._ms(share.acquired_at);
    expires := leasehold_internal._ms(share.expires_at);
    maxhold := leasehold_internal._ms(share.max_hold_until);
    metadata := share.metadata::text;
    weight := share.weight;
    capacity := share.capacity;
  end if;
end
$$;
