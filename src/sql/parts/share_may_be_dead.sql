-- Whether the session of a row s of shares has been silent for so long that it is dead, unless it still has its presence lock.
-- Only _is_dead proves it.
s.released_at is null and s.session_id is not null
  and (s.takeover_ms = 0
       or exists (
         select from leasehold.sessions p
          where p.id = s.session_id
            and greatest(p.seen_at, pg_postmaster_start_time()) + s.takeover_ms * interval '1 millisecond' < clock_timestamp()))
