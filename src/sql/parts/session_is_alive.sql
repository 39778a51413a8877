-- Whether the session in whose name a statement asks is alive as seen from this connection (decision 17), or it asks in the
-- name of none. A session of another database, an old one, or a forged one is not alive. A backend always gets a lock that it
-- holds itself, so it is asked what it holds; a setting would prove nothing: the next user of a pooled connection inherits it.
--
-- It is a part, for a function costs a lone acquire 15 us. As a subquery it is run once a statement.
(select p_session is null
        or exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
           and (not pg_try_advisory_xact_lock_shared(:presence_class, p_session)
                or leasehold_internal._holds_presence(p_session)))
