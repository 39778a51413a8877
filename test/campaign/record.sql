-- What the campaign writes down inside of the database: each version of a row of the library's tables, by triggers, in the
-- transaction of the change, so that what was rolled back or lost in a crash is not there.
create schema campaign;
revoke all on schema campaign from public;

create table campaign.grants (
  id bigint generated always as identity primary key,
  op text not null, at timestamptz not null, xid xid8 not null, node text not null,
  kind text not null, key text collate "C" not null, token uuid, fence bigint not null, owner text, session_id int,
  ttl_ms int not null, takeover_ms int, min_hold_ms int not null, max_hold_until timestamptz, renewed_at timestamptz,
  expires_at timestamptz, hold_until timestamptz, revoked_at timestamptz, released_at timestamptz,
  weight int, capacity int, queued boolean);

create table campaign.line (
  id bigint generated always as identity primary key,
  op text not null, at timestamptz not null, xid xid8 not null, node text not null,
  key text collate "C" not null, ticket bigint not null, token uuid not null, session_id int, owner text not null,
  weight int, capacity int, alive_until timestamptz not null);

create table campaign.sessions (
  id bigint generated always as identity primary key,
  op text not null, at timestamptz not null, xid xid8 not null, node text not null,
  session_id int not null, owner text not null, pid int not null, seen_at timestamptz not null);

-- What is written under guards. Each write says what it was made of.
create table campaign.writes (
  id bigint generated always as identity primary key,
  op text not null default 'I', at timestamptz not null default clock_timestamp(), xid xid8 not null default pg_current_xact_id(),
  node text not null default current_setting('cluster_name'),
  key text collate "C" not null, fence bigint not null, is_share boolean not null, was bigint not null, value bigint not null, worker text not null);

create table campaign.accounts (key text collate "C" primary key, value bigint not null, opening_balance bigint not null);

create function campaign.record_lease() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
declare
  r leasehold.leases := case when tg_op = 'DELETE' then old else new end;
begin
  insert into campaign.grants (op, at, xid, node, kind, key, token, fence, owner, session_id, ttl_ms, takeover_ms, min_hold_ms,
    max_hold_until, renewed_at, expires_at, hold_until, revoked_at, released_at, weight, capacity, queued)
  values (left(tg_op, 1), clock_timestamp(), pg_current_xact_id(), current_setting('cluster_name'), 'lease', r.key, r.token, r.fence,
    r.owner, r.session_id, r.ttl_ms, r.takeover_ms, r.min_hold_ms, r.max_hold_until, r.renewed_at, r.expires_at, r.hold_until,
    r.revoked_at, r.released_at, null, null, r.queued);
  return null;
end $$;

create function campaign.record_share() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
declare
  r leasehold.shares := case when tg_op = 'DELETE' then old else new end;
begin
  insert into campaign.grants (op, at, xid, node, kind, key, token, fence, owner, session_id, ttl_ms, takeover_ms, min_hold_ms,
    max_hold_until, renewed_at, expires_at, hold_until, revoked_at, released_at, weight, capacity, queued)
  values (left(tg_op, 1), clock_timestamp(), pg_current_xact_id(), current_setting('cluster_name'), 'share', r.key, r.token, r.fence,
    r.owner, r.session_id, r.ttl_ms, r.takeover_ms, r.min_hold_ms, r.max_hold_until, r.renewed_at, r.expires_at, r.hold_until,
    r.revoked_at, r.released_at, r.weight, r.capacity, null);
  return null;
end $$;

create function campaign.record_waiter() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
declare
  r leasehold.waiters := case when tg_op = 'DELETE' then old else new end;
begin
  insert into campaign.line (op, at, xid, node, key, ticket, token, session_id, owner, weight, capacity, alive_until)
  values (left(tg_op, 1), clock_timestamp(), pg_current_xact_id(), current_setting('cluster_name'), r.key, r.ticket, r.token,
    r.session_id, r.owner, r.weight, r.capacity, r.alive_until);
  return null;
end $$;

create function campaign.record_session() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
declare
  r leasehold.sessions := case when tg_op = 'DELETE' then old else new end;
begin
  insert into campaign.sessions (op, at, xid, node, session_id, owner, pid, seen_at)
  values (left(tg_op, 1), clock_timestamp(), pg_current_xact_id(), current_setting('cluster_name'), r.id, r.owner, r.pid, r.seen_at);
  return null;
end $$;

create trigger campaign_records after insert or update or delete on leasehold.leases for each row execute function campaign.record_lease();
create trigger campaign_records after insert or update or delete on leasehold.shares for each row execute function campaign.record_share();
create trigger campaign_records after insert or update or delete on leasehold.waiters for each row execute function campaign.record_waiter();
create trigger campaign_records after insert or update or delete on leasehold.sessions for each row execute function campaign.record_session();
