-- Writes the whole row anew, so that a flush can be repeated. A role that may lock can write only its own rows (it knows no
-- other id), and nothing of arbitrary size: impossible counts are refused, or left out of a list. Lines with a counter
-- variable are repeated for each counter (scripts/sql-counters.ts).
create function leasehold_internal.flush_counters(p_id uuid, p_sequence integer, p_counts text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set lock_timeout = '100ms'
as $$
declare
  most constant bigint := 1000000000000;
  most_ms constant float8 := 1e15;
  counts jsonb;
  given leasehold.counters;
begin
  perform leasehold_internal._check_transaction();
  if octet_length(p_counts) > 1048576 then
    raise exception using errcode = 'LH003',
      message = format('counters take 1 MiB at most, these have %s bytes', octet_length(p_counts));
  end if;
  counts := p_counts::jsonb;
  given := jsonb_populate_record(null::leasehold.counters, counts - 'prefixes' - 'hot_keys');
  given.id := p_id;
  given.sequence := p_sequence;
  given.started_at := clock_timestamp();
  given.flushed_at := given.started_at;
  given.prefixes := (
    select coalesce(jsonb_agg(to_jsonb(p)), '[]')
      from (
        select x.*
          from jsonb_to_recordset(counts -> 'prefixes') as x (
            prefix text,
            :prefix_counter bigint,
            wait_ms float8)
         where coalesce(octet_length(x.prefix), 0) <= 512
           and x.:prefix_counter between 0 and most
           and x.wait_ms between 0 and most_ms
         limit 101
      ) p);
  given.hot_keys := (
    select coalesce(jsonb_agg(to_jsonb(k)), '[]')
      from (
        select x.*
          from jsonb_to_recordset(counts -> 'hot_keys') as x (
            key text, contended bigint, contended_at_most bigint, acquired bigint, wait_ms float8)
         where octet_length(x.key) between 1 and 512
           and x.contended between 0 and x.contended_at_most and x.contended_at_most <= most
           and x.acquired between 0 and most and x.wait_ms between 0 and most_ms
         limit 100
      ) k);
  if p_id = '00000000-0000-0000-0000-000000000000'
     or array_ndims(given.waits) <> 1 or cardinality(given.waits) <> 28 or array_position(given.waits, null) is not null
     or array_ndims(given.holds) <> 1 or cardinality(given.holds) <> 28 or array_position(given.holds, null) is not null
     or given.wait_ms not between 0 and most_ms or given.hold_ms not between 0 and most_ms
     or jsonb_path_exists(
          to_jsonb(given) - 'prefixes' - 'hot_keys' - 'wait_ms' - 'hold_ms',
          '$.** ? (@.type() == "number" && (@ < 0 || @ > $most))', jsonb_build_object('most', most)) then
    raise exception using errcode = 'LH003', message = 'these are no counters',
      hint = 'This function is for the Leasehold client. Nothing else needs to call it.';
  end if;

  -- If a crash loses this row, the next flush writes it again.
  perform set_config('synchronous_commit', 'off', true);
  insert into leasehold.counters as c values (given.*)
  on conflict (id) do update
    set sequence = excluded.sequence, flushed_at = excluded.flushed_at,
        :counter = excluded.:counter,
        wait_ms = excluded.wait_ms, hold_ms = excluded.hold_ms, waits = excluded.waits, holds = excluded.holds,
        prefixes = excluded.prefixes, hot_keys = excluded.hot_keys
    where c.sequence < excluded.sequence;
end
$$;
