create view leasehold.deadlocks as
with wait as materialized (
  select w.session_id, coalesce(p.owner, w.owner) as owner, w.key, w.ticket, w.enqueued_at, w.weight, w.capacity,
         dense_rank() over (order by w.key)::integer as number,
         row_number() over (order by w.key, w.ticket)::integer as place
    from leasehold_internal._queue() w
    left join leasehold_internal._presence() p on p.id = w.session_id
   where w.is_alive
),
hold as materialized (
  select k.number, l.session_id, l.weight, l.capacity
    from (select distinct w.key, w.number from wait w) k
    join leasehold_internal._leases l on l.key = k.key
   where l.state in ('held', 'revoked') and l.session_id is not null
),
stuck as materialized (
  select w.*
    from leasehold_internal._stuck_waits(
           array(select w.session_id from wait w order by w.place),
           array(select w.number from wait w order by w.place),
           array(select w.weight from wait w order by w.place),
           array(select w.capacity from wait w order by w.place),
           array(select h.session_id from hold h order by h.number, h.session_id, h.weight, h.capacity),
           array(select h.number from hold h order by h.number, h.session_id, h.weight, h.capacity),
           array(select h.weight from hold h order by h.number, h.session_id, h.weight, h.capacity),
           array(select h.capacity from hold h order by h.number, h.session_id, h.weight, h.capacity)) s
    join wait w on w.place = s.place
)
select step.keys, step.owners, c.sessions as session_ids, step.path, step.since
  from (
    select distinct found.sessions, found.keys
      from leasehold_internal._cycles(
             array(select s.session_id from stuck s order by s.session_id, s.ticket),
             array(select s.number from stuck s order by s.session_id, s.ticket),
             array(select h.session_id from hold h order by h.number, h.session_id),
             array(select h.number from hold h order by h.number, h.session_id)) found
  ) c
 cross join lateral (
   select array_agg(w.key order by s.number) as keys,
          array_agg(w.owner order by s.number) as owners,
          string_agg(format('%s waits for %s, held by %s', w.owner, w.key, holder.owner), '; ' order by s.number) as path,
          max(w.enqueued_at) as since
     from unnest(c.sessions, c.keys) with ordinality s (id, key, number)
    cross join lateral (select c.sessions[s.number % cardinality(c.sessions) + 1] as id) follower
     join lateral (
            select w.key, w.owner, w.enqueued_at
              from stuck w where w.session_id = s.id and w.number = s.key order by w.ticket limit 1) w on true
     join lateral (select h.owner from stuck h where h.session_id = follower.id limit 1) holder on true
 ) step;

comment on view leasehold.deadlocks is
  'Sessions that hold a key and wait for another in a cycle. A process may do several things at once, so a cycle that comes '
  'and goes need not be a deadlock; one that stays is. Who waits for a key that is shared waits for all who hold it; for a '
  'part of a semaphore only if all are stuck that leave too little room for it, so that nobody of a cycle goes on before '
  'somebody of a cycle gives up. Who stands in the queue behind another waits for what that one waits for: a reader behind '
  'a writer for the other readers. Contains a shortest cycle for each session that is in one. Only sessions: without '
  'presence it is not known which holder is which waiter. Empty on a standby.';
comment on column leasehold.deadlocks.keys is
  'What is waited for: the first session waits for the first key, which the second session holds, alone or with others, and so '
  'on; the last key is held by the first session.';
comment on column leasehold.deadlocks.owners is 'The sessions as they named themselves.';
comment on column leasehold.deadlocks.session_ids is 'The sessions, beginning with the smallest number.';
comment on column leasehold.deadlocks.path is 'The cycle in words.';
comment on column leasehold.deadlocks.since is 'When the last wait began, which closed the cycle.';
