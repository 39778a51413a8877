-- Raises the error that explains why the key is not held with this fence.
create function leasehold_internal._refuse_guard(
  lease leasehold.leases, share leasehold.shares, p_key text, p_fence bigint, at timestamptz
) returns void
language plpgsql volatile
as $$
declare
  holder text := coalesce(share.owner, lease.owner, 'Somebody without a name');
begin
  raise exception using
    errcode = 'LH001',
    message = format('the lease of %L with fence %s is not held any more', p_key, p_fence),
    detail = case
      when share.revoked_at is not null then format('It was taken from %s by force at %s.', holder, share.revoked_at)
      when share.released_at is not null then format('%s released its share at %s.', holder, share.released_at)
      when share.key is not null then format('The share of %s expired at %s.', holder, share.expires_at)
      when coalesce(lease.fence, 0) = 0 then
        'Nobody holds the key: it was never granted in this database, or released so long ago that it is forgotten.'
      when lease.fence < p_fence then
        format('The last fence of this key is %s: fence %s was never granted in this database.', lease.fence, p_fence)
      when lease.fence > p_fence and lease.token is not null and lease.expires_at > at
        then format('%s holds the key since %s, with fence %s.', holder, lease.acquired_at, lease.fence)
      when lease.fence > p_fence and lease.expires_at is null -- the last grant was a share
        then format('%s was granted a share of the key at %s, with fence %s.', holder, lease.acquired_at, lease.fence)
      when lease.fence > p_fence
        then format('%s was granted the key at %s, with fence %s. Nobody holds it now.', holder, lease.acquired_at, lease.fence)
      when lease.revoked_at is not null then format('It was taken from %s by force at %s.', holder, lease.revoked_at)
      when lease.token is null then format('%s released it at %s. Nobody holds the key now.', holder, lease.released_at)
      else format('The lease of %s expired at %s. Nobody holds the key now.', holder, lease.expires_at)
    end,
    hint = 'Roll back: what this transaction was to write may be another''s by now. Acquire the lock again before you repeat it.';
end
$$;
