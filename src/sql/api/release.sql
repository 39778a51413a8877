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
  for attempt in 1..3 loop
    select coalesce(a.rest::json #>> '{0,1}', 'released') as outcome, (a.rest::json #>> '{0,3}')::integer as wake
      into answer
      from leasehold_internal.release(false, array[release.key collate "C"], array[release.token], array[null::bigint]) a;
    exit when answer.outcome <> 'busy' or attempt = 3;
    perform pg_sleep(0.005 * attempt);
  end loop;
  if answer.outcome = 'busy' then
    raise exception using errcode = 'lock_not_available',
      message = format('the lease of %L cannot be released now: a transaction keeps its row locked', release.key),
      detail = (
        select format('It is open in the server process %s.', b.pid)
          from leasehold_internal._blockers(array[release.key collate "C"]) b
         where b.pid is not null),
      hint = 'Release it in the transaction that renewed it, or end that one first.';
  end if;
  perform leasehold_internal._wake(answer.wake);
  return answer.outcome = 'released';
end
$$;

comment on function leasehold.release(text, uuid) is
  'Lets go of a lock: select leasehold.release(''report:daily'', ''<token>''); True when it was held until now; false when it '
  'was over before, and then what was done meanwhile was not protected. Whoever is next in line is woken when the transaction '
  'commits.';
