-- Why a share is no longer held: of its row, or (null) of one that is gone. Null if it still is.
create function leasehold_internal._share_loss(share leasehold.shares, lease leasehold.leases, held_fence bigint) returns text
language plpgsql volatile
as $$
begin
  return case
    when share.revoked_at is not null then 'forced'
    when share.released_at is not null then 'taken' -- by another who has the token
    when share.expires_at > clock_timestamp() then null
    when share.max_hold_until <= clock_timestamp() then 'max-hold'
    when share.expires_at is not null then 'expired'
    -- Removed by a later grant, unless there was none.
    when lease.fence = held_fence then 'expired'
    else 'taken'
  end;
end
$$;
