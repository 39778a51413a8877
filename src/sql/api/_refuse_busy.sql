-- Raises the error that explains why nothing can be done with a lease now, or with the share that has this fence.
create function leasehold_internal._refuse_busy(p_key text, p_fence bigint, what text) returns void
language plpgsql volatile
as $$
begin
  raise exception using errcode = 'lock_not_available',
    message = format('the lease of %L cannot be %s now: a transaction keeps its row locked', p_key, what),
    detail = (
      select leasehold_internal._where_open(b.is_blocked, b.pid, b.gid)
        from leasehold_internal._blocker(
               p_key, (select s.fence from leasehold.shares s where s.key = p_key and s.fence = p_fence)) b),
    hint = 'Ask again once that transaction has ended.';
end
$$;
