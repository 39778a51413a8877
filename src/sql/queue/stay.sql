-- Those who wait behind another of their own process need no looks of their own: that one stands before them. This keeps their places
-- alive, as a look does, and answers which of them have none any more (a crash, a sweep) and must look. A client that is not seen alive, or
-- whose call comes late, changes nothing and is answered with 0: else a line would stand still behind one whose looks are refused.
create function leasehold_internal.stay(p_session integer, p_nonce uuid, p_not_after float8, p_keys text[], p_tokens uuid[])
returns table (item integer, now float8)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
#variable_conflict use_column
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_count(cardinality(p_keys));
  if leasehold_internal._ms(clock_timestamp()) >= p_not_after
    or p_session is not null and not leasehold_internal._is_alive(p_session, p_nonce) then
    item := 0;
    now := leasehold_internal._ms(clock_timestamp());
    return next;
    return;
  end if;
  perform set_config('synchronous_commit', 'off', true);
  -- Place by place, as acquire looks up keys: a line is often counted while it is empty. Then 100 of 5,000 took 0.5 s instead of 0.01.
  with place as materialized (
    select a.version
      from unnest(p_keys, p_tokens) u (key, token)
      join lateral (
        select k.key, k.ctid as version from leasehold.waiters k
         where k.key = u.key and k.token >= u.token and k.token <= u.token and k.alive_until < clock_timestamp() + interval '2500 milliseconds'
         order by k.token
         limit 1
           for update skip locked) a on a.key = u.key
  )
  update leasehold.waiters w
     set alive_until = clock_timestamp() + interval '3 seconds'
    from place p
   where w.ctid = p.version;
  return query
    select u.item::integer, leasehold_internal._ms(clock_timestamp())
      from unnest(p_keys, p_tokens) with ordinality u (key, token, item)
     where leasehold_internal._place(u.key, u.token) is null;
end
$$;
