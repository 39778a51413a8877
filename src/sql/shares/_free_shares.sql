-- Frees the shares that these tokens hold, also expired ones, one by one. A null fence matches any. A row that a guard or
-- (p_held) a minimum hold keeps is marked instead of deleted. No row for an item: it has no share, or none with that fence.
create function leasehold_internal._free_shares(p_keys text[], p_tokens uuid[], p_fences bigint[], p_held boolean[])
returns table (item integer, outcome text, reason text, next integer, now float8)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  asked record;
  share leasehold.shares;
  version tid;
  kept_until timestamptz;
begin
  for asked in
    select w.* from unnest(p_keys, p_tokens, p_fences, p_held) with ordinality as w (key, token, fence, held, item)
     order by w.key, w.token
  loop
    select s.* into share
      from leasehold.shares s
     where s.key = asked.key and s.token = asked.token and (asked.fence is null or s.fence = asked.fence);
    continue when not found;
    item := asked.item;
    next := null;
    select s.ctid into version
      from leasehold.shares s
     where s.key = asked.key and s.token = asked.token
       for no key update skip locked;
    if not found then
      -- A renewal is about to commit; or it was deleted just now.
      outcome := case
        when exists (select from leasehold.shares s where s.key = asked.key and s.token = asked.token) then 'busy'
        else 'gone'
      end;
      reason := case when outcome = 'gone' then 'expired' end;
    else
      select s.* into share from leasehold.shares s where s.ctid = version;
      -- Whoever obeys a release by force before its share ends has let go in time.
      reason := case
        when share.released_at is not null or share.expires_at <= clock_timestamp()
        then leasehold_internal._share_loss(share, null, share.fence)
      end;
      if share.released_at is not null then
        outcome := 'gone';
      else
        outcome := case when reason is null then 'released' else 'expired' end;
        kept_until := case when asked.held and reason is null and share.min_hold_ms > 0
          then share.acquired_at + share.min_hold_ms * interval '1 millisecond' end;
        delete from leasehold.shares s
         where s.ctid = (
                 select k.ctid from leasehold.shares k
                  where k.ctid = version and (kept_until is null or kept_until <= clock_timestamp())
                    for update skip locked);
        if not found then
          update leasehold.shares s
             set released_at = clock_timestamp(), hold_until = kept_until, session_id = null
           where s.ctid = version;
        end if;
        next := leasehold_internal._whom_to_tell(asked.key, asked.token);
      end if;
    end if;
    now := leasehold_internal._ms(clock_timestamp());
    return next;
  end loop;
end
$$;
