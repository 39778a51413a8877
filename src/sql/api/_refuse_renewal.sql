-- Raises the error that explains why the key is not held with this token.
create function leasehold_internal._refuse_renewal(p_key text, reason text) returns void
language plpgsql volatile
as $$
declare
  lease leasehold.leases;
begin
  select l.* into lease from leasehold.leases l where l.key = p_key;
  raise exception using
    errcode = 'LH002',
    message = format('the lease of %L is not held with this token', p_key),
    detail = case
      when reason = 'forced' then 'It was taken away by force.'
      when reason = 'max-hold' then 'It was held for as long as it may be.'
      when reason = 'expired' then 'It was not renewed in time: it has expired.'
      when lease.token is not null and lease.expires_at > clock_timestamp()
        then format('%s holds the key since %s, with fence %s.', lease.owner, lease.acquired_at, lease.fence)
      when (select c.counted > 0 from leasehold_internal._count_shares(p_key, false) c)
        then 'It was released, or it expired. Others share the key now.'
      else 'It was released, or it expired and others have had the key since. Nobody holds it now.'
    end,
    hint = 'Stop what the lock was for. To go on, take it again: select * from leasehold.try_acquire(...);';
end
$$;
