-- Every grant of a key with its state, by the predicates of the protocol (_is_grantable, _is_dead) but for all rows at once:
-- a row for each lease, and one for each share. The other views are based on it. The row of a key that is shared is there,
-- too, as one that is free: nobody shows those, unless a transaction has them locked.
create view leasehold_internal._leases as
select l.key, l.mode, l.weight, l.capacity, l.is_share, l.fence, l.owner, l.session_id, l.ttl_ms, l.takeover_ms, l.acquired_at,
       l.renewed_at, l.expires_at, l.max_hold_until, l.hold_until, l.revoked_at, l.metadata, l.acquisitions, l.is_taken,
       case
         when not l.is_taken and l.hold_until > clock.now then 'cooling'
         when not l.is_taken then 'free'
         when l.expires_at <= clock.now then 'expired'
         when l.session_id is not null and not clock.is_standby and not coalesce(p.is_connected, false)
          and (l.takeover_ms = 0
               or greatest(p.seen_at, pg_postmaster_start_time()) + l.takeover_ms * interval '1 millisecond' < clock.now
                    and p.seen_at is not null)
           then 'orphaned'
         when l.revoked_at is not null then 'revoked'
         else 'held'
       end as state,
       case when l.session_id is not null and not clock.is_standby then
         coalesce(p.is_connected and p.seen_at is not null, false) end as is_session_alive,
       p.pid, p.host, p.client_address, p.application_name,
       greatest(p.seen_at, pg_postmaster_start_time()) + l.takeover_ms * interval '1 millisecond' as takeover_at,
       l.version, l.locked,
       clock.now, clock.is_standby
  from (
    -- Without an expiry there was no grant yet, or the last one was a share.
    select e.key, case when e.expires_at is not null then 'exclusive' end as mode, null::integer as weight,
           null::integer as capacity, false as is_share, e.fence, e.owner, e.session_id, e.ttl_ms, e.takeover_ms, e.acquired_at,
           e.renewed_at, e.expires_at, e.max_hold_until, e.hold_until, e.revoked_at, e.metadata, e.acquisitions,
           e.token is not null as is_taken, e.xmin as version, e.xmax as locked
      from leasehold.leases e
    union all
    select s.key, case when s.capacity is null then 'shared' else 'semaphore' end, s.weight, s.capacity, true, s.fence, s.owner,
           s.session_id, s.ttl_ms, s.takeover_ms, s.acquired_at, s.renewed_at, s.expires_at, s.max_hold_until, s.hold_until,
           s.revoked_at, s.metadata, (select r.acquisitions from leasehold.leases r where r.key = s.key), s.released_at is null,
           s.xmin, s.xmax
      from leasehold.shares s
  ) l
 cross join (select clock_timestamp() as now, pg_is_in_recovery() as is_standby) clock
  left join leasehold_internal._presence() p on p.id = l.session_id;

comment on view leasehold_internal._leases is
  'Every row of leases and of shares with its state, as a client would judge it. The other views are based on it.';
