-- Whether a key has been free, or its lease expired, since before that moment. On a row that is not locked this is a hint.
create function leasehold_internal._is_unused_since(lease leasehold.leases, before timestamptz) returns boolean
language sql stable
return case
  when lease.token is null then lease.released_at < before and (lease.hold_until is null or lease.hold_until < before)
  else lease.expires_at < before
end;
