-- Guards a key until the end of the transaction (decision 21).
create function leasehold_internal._guard(p_key text, p_fence bigint, p_timeout_ms numeric) returns void
language plpgsql volatile
as $$
declare
  lease leasehold.leases;
  share leasehold.shares;
  version tid;
  at timestamptz;
  is_held boolean;
  bound_ms numeric;
begin
  if p_key is null or octet_length(p_key) not between 1 and 512 then
    raise exception using errcode = 'LH003',
      message = 'a key has 1 to 512 bytes, this one has ' || coalesce(octet_length(p_key)::text, 'none: it is null'),
      hint = 'Give lock.key, the full key with its prefix.';
  end if;
  if p_fence is null or p_fence < 1 then
    raise exception using errcode = 'LH003', message = 'a fence is 1 or more, not ' || coalesce(p_fence::text, 'null'),
      hint = 'Give lock.fence, which was granted with the lock.';
  end if;
  if p_timeout_ms <= 0 or p_timeout_ms > 2147483647 then
    raise exception using errcode = 'LH003',
      message = format('the timeout of a guard is more than nothing and at most 2147483647 ms, not %s ms', p_timeout_ms),
      hint = 'Leave it out for the TTL of the lease.';
  end if;

  -- A share has a row of its own, and only that is locked: else each reader's transaction would block all later grants of the
  -- key.
  select s.ctid into version from leasehold.shares s where s.key = p_key and s.fence = p_fence for key share;
  if found then
    select s.* into share from leasehold.shares s where s.key = p_key and s.fence = p_fence;
    perform leasehold_internal._refuse_old_snapshot('leasehold.shares', version);
    at := clock_timestamp();
    is_held := share.released_at is null and share.revoked_at is null and share.expires_at > at;
  else
    -- To the end of the transaction this lock blocks every grant (rule 1), but no renewal, release or other guard (rule 2). It
    -- waits only for a grant of this very key that is about to commit.
    select l.ctid into version from leasehold.leases l where l.key = p_key for key share;
    if found then
      -- A snapshot is older than the locks of its statement: read the row again, in one that begins after the lock (rule 3).
      select l.* into lease from leasehold.leases l where l.key = p_key;
      perform leasehold_internal._refuse_old_snapshot('leasehold.leases', version);
    elsif current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
      -- The snapshot does not show a key that was first granted since then. If there is such a row, Postgres objects to this
      -- insert. If there is none, the refusal below rolls the insert back.
      insert into leasehold.leases (key, fence, ttl_ms) values (p_key, 0, 0) on conflict do nothing;
    end if;
    at := clock_timestamp();
    is_held := lease.fence = p_fence and lease.token is not null and lease.revoked_at is null and lease.expires_at > at;
  end if;
  if is_held is not true then
    perform leasehold_internal._refuse_guard(lease, share, p_key, p_fence, at);
  end if;

  -- Bound the transaction: an abandoned one would block the key for ever.
  bound_ms := ceil(coalesce(p_timeout_ms, greatest(coalesce(share.ttl_ms, lease.ttl_ms), 1000)));
  perform leasehold_internal._lower_timeout('idle_in_transaction_session_timeout', bound_ms);
  perform leasehold_internal._lower_timeout('statement_timeout', bound_ms);
  if current_setting('server_version_num')::integer >= 170000 then
    perform leasehold_internal._lower_timeout(
      'transaction_timeout', bound_ms, extract(epoch from at - transaction_timestamp()) * 1000);
  end if;

  -- Tells the trigger of guard_table that this transaction has guards at all. A share's guard is recorded under a name that no
  -- key has: two who share a key may not write what is guarded by it alone.
  perform set_config('leasehold.guards', pg_current_xact_id()::text, true);
  perform set_config(
    leasehold_internal._guards_setting(p_key),
    jsonb_build_object(
      'xid', pg_current_xact_id()::text,
      'keys', leasehold_internal._guarded_keys(p_key) || jsonb_build_object(
        case when share.key is null then p_key else leasehold_internal._share_guard(p_key) end, p_fence))::text,
    true);
end
$$;
