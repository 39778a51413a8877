-- The queues without their tokens. An entry that has expired has no position: the others pass it.
create function leasehold_internal._queue()
returns table (
  key text, "position" integer, ticket bigint, owner text, session_id integer, enqueued_at timestamptz, alive_until timestamptz,
  is_alive boolean, mode text, weight integer, capacity integer)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
declare
  now timestamptz := clock_timestamp();
begin
  if pg_is_in_recovery() then
    return;
  end if;
  return query
    select w.key,
           case
             when w.alive_until > now
             then (row_number() over (partition by w.key, w.alive_until > now order by w.ticket))::integer
           end,
           w.ticket, w.owner, w.session_id, w.enqueued_at, w.alive_until, w.alive_until > now,
           case when w.weight is null then 'exclusive' when w.capacity is null then 'shared' else 'semaphore' end,
           w.weight, w.capacity
      from leasehold.waiters w;
end
$$;

comment on function leasehold_internal._queue() is 'Waiters and their positions. Nothing on a standby.';
