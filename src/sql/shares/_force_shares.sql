-- Takes the shares of a key from their holders: the one with that fence, or all of them (null). Part of admin_force_release,
-- whose caller has the root locked, so that nobody is granted another meanwhile.
--
-- What is released is marked and not deleted, so that the next renewal of its holder is told why; whoever is granted the key
-- next removes it. holders: JSON of whom it was taken from, the oldest first. is_released: whether anything is free now.
-- free_at: when the last that was only revoked ends.
create function leasehold_internal._force_shares(
  p_key text, p_fence bigint, p_immediate boolean, out holders text, out is_released boolean, out free_at timestamptz)
language plpgsql volatile
-- Passes the key share of a guard. A renewal that is about to commit is waited for.
set lock_timeout = '500ms'
as $$
declare
  share leasehold.shares;
  is_live boolean;
  taken json[];
begin
  is_released := false;
  perform
     from leasehold.shares s
    where s.key = p_key and (p_fence is null or s.fence = p_fence)
    order by s.token
      for no key update;
  for share in
    select s.* from leasehold.shares s where s.key = p_key and (p_fence is null or s.fence = p_fence) order by s.fence
  loop
    continue when share.released_at is not null and coalesce(share.hold_until <= clock_timestamp(), true);
    -- Not one that was released, has expired, or is of a dead holder: there is nobody to wait for.
    is_live := share.released_at is null and share.expires_at > clock_timestamp()
      and not leasehold_internal._is_dead(share.session_id, share.takeover_ms);
    if is_live and not p_immediate then
      free_at := greatest(free_at, share.expires_at);
    else
      is_released := true;
    end if;
    update leasehold.shares s
       set revoked_at = coalesce(s.revoked_at, clock_timestamp()),
           session_id = case when is_live and not p_immediate then s.session_id end,
           released_at = case when not is_live or p_immediate then clock_timestamp() end,
           hold_until = null
     where s.key = p_key and s.token = share.token;
    if share.released_at is null then
      taken := taken || json_build_object(
        'owner', share.owner, 'fence', share.fence::text, 'weight', share.weight, 'session', share.session_id,
        'expires', leasehold_internal._ms(share.expires_at));
    end if;
  end loop;
  holders := array_to_json(taken)::text;
end
$$;
