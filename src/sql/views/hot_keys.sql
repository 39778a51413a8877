create view leasehold.hot_keys as
with recent as materialized (
  select c.id, c.hot_keys,
         -- How often a key that is not in a full list may have been contended.
         case when jsonb_array_length(c.hot_keys) = 100
           then (select min((k ->> 'contended_at_most')::bigint) from jsonb_array_elements(c.hot_keys) k) else 0
         end as unseen
    from leasehold.counters c
   where c.flushed_at > clock_timestamp() - interval '1 hour'
)
select k.key,
       sum(k.contended)::bigint as contended,
       (sum(k.contended_at_most - r.unseen) + (select sum(u.unseen) from recent u))::bigint as contended_at_most,
       sum(k.acquired)::bigint as acquired,
       leasehold_internal._mean(sum(k.wait_ms), sum(k.acquired)) as wait_mean
  from recent r
 cross join lateral jsonb_to_recordset(r.hot_keys) as k (
         key text, contended bigint, contended_at_most bigint, acquired bigint, wait_ms float8)
 group by k.key
 order by contended desc, k.key
 limit 100;

comment on view leasehold.hot_keys is
  'The hundred most contended keys of the last hour or two, over all lockers, the hottest first. Each process knows its hundred '
  'most contended keys: a key with less than a hundredth of its contention may be missing.';
comment on column leasehold.hot_keys.key is 'The key, prefix included.';
comment on column leasehold.hot_keys.contended is 'Acquires and tries that did not get it at once: at least this many.';
comment on column leasehold.hot_keys.contended_at_most is
  'At most this many. The same, unless more than a hundred keys of a process were contended.';
comment on column leasehold.hot_keys.acquired is 'Grants since it became one of the hottest of its process.';
comment on column leasehold.hot_keys.wait_mean is 'How long those took from the call to the grant, on average.';
