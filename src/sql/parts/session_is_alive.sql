-- Whether the session in whose name a statement asks is alive, as _is_alive tells it: a part, for the function costs a lone
-- acquire 15 us. As a subquery it is run once a statement.
(select p_session is null
        or exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
           and (not pg_try_advisory_xact_lock_shared(:presence_class, p_session)
                or leasehold_internal._holds_presence(p_session)))
