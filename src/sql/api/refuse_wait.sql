-- Raises the error of call leasehold.acquire(...) that did not get the key in time. A statement of its own, after the commit that
-- removed the waiter's entry.
create function leasehold_internal.refuse_wait(key text, wait interval) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
#variable_conflict use_column
declare
  answer record;
begin
  perform leasehold_internal._check_key(refuse_wait.key);
  select a.* into answer from leasehold_internal.inspect(refuse_wait.key collate "C") a;
  raise exception using errcode = 'LH009',
    message = format('the lock %L was not free within %s', refuse_wait.key, wait),
    detail = concat_ws(' ',
      case
        when answer.state = 'blocked' or answer.blocked
          then 'A transaction keeps it. ' || leasehold_internal._where_open(answer.blocked, answer.blocker, answer.gid)
        when answer.state = 'free' then 'Nobody has it now.'
        when answer.state = 'cooling' then
          format('%s has released it, and its minimum hold ends at %s.', answer.owner, to_timestamp(answer.free / 1000))
        else format('%s has it, with fence %s, until %s or longer.', answer.owner, answer.fence, to_timestamp(answer.free / 1000))
      end,
      case when answer.waiters > 0 then format('Others who wait for it: %s.', answer.waiters) end),
    hint = 'Wait for longer, such as wait => ''1 min''; null waits without end. Nothing of this wait is left in the queue.';
end
$$;
