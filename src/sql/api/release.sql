create function leasehold.release(key text, token uuid) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
#variable_conflict use_column
declare
  answer record;
begin
  perform leasehold_internal._check_key(release.key);
  perform leasehold_internal._check_token(release.token);
  -- For 0.2 s: others who join the queue one after the other may keep the row from one try, and from the next.
  for attempt in 1..10 loop
    select coalesce(a.others::json #>> '{0,1}', 'released') as outcome, (a.others::json #>> '{0,3}')::integer as next
      into answer
      from leasehold_internal.release(false, array[release.key collate "C"], array[release.token], array[null::bigint]) a;
    exit when answer.outcome <> 'busy' or attempt = 10;
    perform pg_sleep(0.005 * attempt);
  end loop;
  if answer.outcome = 'busy' then
    raise exception using errcode = 'lock_not_available',
      message = format('the lease of %L cannot be released now: a transaction keeps its row locked', release.key),
      detail = (
        select leasehold_internal._where_open(b.is_blocked, b.pid, b.gid)
          from leasehold_internal._blocker(release.key collate "C") b),
      hint = 'Release it in the transaction that renewed it, or end that one first.';
  end if;
  perform leasehold_internal._wake_next(release.key collate "C", answer.next);
  return answer.outcome = 'released';
end
$$;

comment on function leasehold.release(text, uuid) is
  'Releases a lock: select leasehold.release(''report:daily'', ''<token>''); True if it was held until now. False if it had '
  'ended before; then what was done since was not protected. Whoever is next is woken when the transaction commits.';
