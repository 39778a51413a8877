create view leasehold.deadlocks as
with edge as materialized (
  select distinct on (w.session_id, l.session_id)
         w.session_id as waiter, l.session_id as holder, coalesce(p.owner, w.owner) as owner, w.key, w.enqueued_at
    from leasehold_internal._queue() w
    join leasehold_internal._leases l on l.key = w.key
    left join leasehold_internal._presence() p on p.id = w.session_id
   where w.is_alive and l.state in ('held', 'revoked') and l.session_id <> w.session_id
   order by w.session_id, l.session_id, w.ticket
)
select step.keys, step.owners, c.sessions as session_ids, step.path, step.since
  from (
    select distinct found.sessions
      from leasehold_internal._cycles(
             array(select e.waiter from edge e order by e.waiter, e.holder),
             array(select e.holder from edge e order by e.waiter, e.holder)) found
  ) c
 cross join lateral (
   select array_agg(e.key order by s.number) as keys,
          array_agg(e.owner order by s.number) as owners,
          string_agg(format('%s waits for %s, held by %s', e.owner, e.key, holder.owner), '; ' order by s.number) as path,
          max(e.enqueued_at) as since
     from unnest(c.sessions) with ordinality s (id, number)
    cross join lateral (select c.sessions[s.number % cardinality(c.sessions) + 1] as id) follower
     join edge e on e.waiter = s.id and e.holder = follower.id
     join lateral (select h.owner from edge h where h.waiter = follower.id limit 1) holder on true
 ) step;

comment on view leasehold.deadlocks is
  'Sessions that hold a key and wait for another in a cycle. A process may do several things at once, so a cycle that comes and '
  'goes need not be a deadlock; one that stays is. Contains a shortest cycle for each session that is in one. Only sessions: '
  'without presence it is not known which holder is which waiter. Empty on a standby.';
comment on column leasehold.deadlocks.keys is
  'What is waited for: the first session waits for the first key, which the second session holds, and so on; the last key is '
  'held by the first session.';
comment on column leasehold.deadlocks.owners is 'The sessions as they named themselves.';
comment on column leasehold.deadlocks.session_ids is 'The sessions, beginning with the smallest number.';
comment on column leasehold.deadlocks.path is 'The cycle in words.';
comment on column leasehold.deadlocks.since is 'When the last wait began, which closed the cycle.';
