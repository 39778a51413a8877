-- Waits in the queue, and commits between its looks: so its entry is seen, and no snapshot grows older than a second. Postgres
-- lets a procedure commit only if it has its caller's rights, no SET clause and no exception block, and not within a transaction.
-- The first commit refuses that (2D000): without it a key that is free at once would be granted there, and given back by a
-- rollback.
--
-- The body runs under whatever search_path its caller has (rule 11): no operator, no cast, no name without its schema. It only
-- does what look says. Its variables have the types of the columns, or an assignment would cast.
create procedure leasehold.acquire(
  key text,
  wait interval default '10 s',
  ttl interval default '30 s',
  owner text default null,
  metadata jsonb default null,
  session integer default null,
  shared boolean default false,
  capacity integer default null,
  weight integer default null,
  inout token uuid default null,
  inout fence bigint default null,
  inout expires_at timestamptz default null
)
language plpgsql
as $$
declare
  ticket bigint;
  proof bigint;
  since double precision;
  looked double precision;
  grants bigint;
  is_done boolean;
  is_late boolean;
  seconds double precision;
begin
  commit;
  loop
    select l.token, l.ticket, l.proof, l.since, l.looked, l.grants, l.fence, l.expires_at, l.is_done, l.is_late, l.seconds
      into token, ticket, proof, since, looked, grants, fence, expires_at, is_done, is_late, seconds
      from leasehold_internal.look(
             key, wait, ttl, owner, metadata, session, shared, capacity, weight, token, ticket, proof, since, looked, grants) l;
    commit;
    exit when is_done;
    perform pg_catalog.pg_sleep(seconds);
    commit;
  end loop;
  if is_late then
    perform leasehold_internal.refuse_wait(key, wait);
  end if;
end
$$;

comment on procedure leasehold.acquire is
  'Acquires the lock, and waits for it in the queue: call leasehold.acquire(''report:daily'', wait => ''1 min''); Answers one '
  'row: token is the secret for renew and release, fence the fencing token for guard. Who waits is served in turn, beside the '
  'waiters of clients. "wait": null waits without end. "token": a uuid of your own makes the call repeatable: called again with '
  'it, it gives the same grant, so that an answer that was lost is found again, or released. "session": the number that attach() '
  'gave on this connection. "shared": true for a read lock, which others share. "capacity": for a semaphore, of which it takes '
  '"weight", 1 unless given. It commits while it waits, so it must be a statement of its own: in a transaction, in a statement '
  'with others, and in a function it fails with 2D000, before anything is granted. When it is cancelled, its place in the queue '
  'is free within 3 s. statement_timeout bounds the whole wait. Fails with LH009 if the lock was not free in time, with LH003 if '
  'an argument is invalid, and with LH004 on a standby, under another isolation level than read committed, and if the session is '
  'not one of this connection.';
