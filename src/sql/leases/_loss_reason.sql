-- Why this token no longer holds the lease. Null if it still does.
create function leasehold_internal._loss_reason(lease leasehold.leases, holding uuid, held_fence bigint) returns text
language plpgsql volatile
as $$
begin
  return case
    when lease.token = holding and (held_fence is null or lease.fence = held_fence) then
      case
        when lease.revoked_at is not null then 'forced'
        when lease.expires_at > clock_timestamp() then null
        when lease.max_hold_until <= clock_timestamp() then 'max-hold'
        else 'expired'
      end
    when lease.key is null then 'taken' -- no such row: a failover has lost the grant
    when lease.token is null and lease.fence = held_fence and lease.revoked_at is not null then 'forced'
    -- Released in time: by another who has the token, or has adopted it.
    when lease.token is null and lease.fence = held_fence and lease.released_at < lease.expires_at then 'taken'
    -- A share that is still there has another token: it was adopted.
    when lease.token is null and lease.expires_at is null
      and exists (select from leasehold.shares s where s.key = lease.key and s.fence = held_fence) then 'taken'
    when lease.token is null and coalesce(lease.fence = held_fence, true) then 'expired'
    else 'taken'
  end;
end
$$;
