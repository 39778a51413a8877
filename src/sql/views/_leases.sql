-- Every lease with its state, by the predicates of the protocol (_is_grantable, _is_dead) but for all rows at once. The other
-- views are based on it.
create view leasehold_internal._leases as
select l.key, l.fence, l.owner, l.session_id, l.ttl_ms, l.takeover_ms, l.acquired_at, l.renewed_at, l.expires_at,
       l.max_hold_until,
       l.hold_until, l.revoked_at, l.metadata, l.acquisitions,
       l.token is not null as is_taken,
       case
         when l.token is null and l.hold_until > clock.now then 'cooling'
         when l.token is null then 'free'
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
       l.xmin as version, l.xmax as locked,
       clock.now, clock.is_standby
  from leasehold.leases l
 cross join (select clock_timestamp() as now, pg_is_in_recovery() as is_standby) clock
  left join leasehold_internal._presence() p on p.id = l.session_id;

comment on view leasehold_internal._leases is
  'Every row of leases with its state, as a client would judge it. The other views are based on it.';
