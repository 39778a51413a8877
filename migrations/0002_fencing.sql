-- Writes that a holder cannot make any more once it has lost its lock: guards, fence columns, guarded tables, marks of resources.
-- Errors: LH001 not held; LH003 invalid argument; LH005 no guard in this transaction; LH006 fence too old; LH007 another database.

-- Which database this is. Two in one cluster differ by their oid, restored copies by their cluster. Where the service hides the
-- cluster's identity, the random one of the tables stands in for it.
create function leasehold_internal.place() returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
declare
  known leasehold.fence_epoch;
  identifier bigint;
begin
  select * into known from leasehold.fence_epoch e where e.id;
  if not found then
    perform leasehold_internal._refuse_missing_rows();
  end if;
  -- The row of another server's, until the first grant here: as what that will find out.
  identifier := case
    when known.server_start = pg_postmaster_start_time() then known.system_identifier
    else (select s.identifier from leasehold_internal._server_identity() s)
  end;
  return coalesce(identifier::text, known.database_id::text) || '/' || (select d.oid from pg_database d where d.datname = current_database());
end
$$;
--> statement-breakpoint
-- The setting that records the guard of a key, one of 256: each holds the few keys that fall to it, so that to look one up costs the same
-- with a thousand guarded keys as with one. Not one setting a key: a session keeps the name of every setting that it ever had (0.2 kB).
create function leasehold_internal._guards_setting(p_key text) returns text
language sql immutable
return 'leasehold.guards_' || (hashtextextended(p_key collate "C", 0) & 255)::text;
--> statement-breakpoint
-- The keys in that setting that this transaction guards, with their fences. It is local to the transaction, and a rollback to a savepoint
-- undoes what was written after it; the transaction's number is in it because anybody may set it for a whole session.
create function leasehold_internal._guards(p_key text) returns jsonb
language plpgsql volatile
as $$
declare
  recorded jsonb := nullif(current_setting(leasehold_internal._guards_setting(p_key), true), '')::jsonb;
begin
  return case when recorded ->> 'xid' = pg_current_xact_id_if_assigned()::text then recorded -> 'keys' else '{}' end;
end
$$;
--> statement-breakpoint
-- Lowers a timeout of this transaction, in milliseconds; 0 is none.
create function leasehold_internal._bound(setting text, bound_ms numeric, spent_ms numeric default 0) returns void
language plpgsql volatile
as $$
declare
  current_ms numeric := extract(epoch from current_setting(setting)::interval) * 1000;
begin
  if current_ms = 0 or current_ms - spent_ms > bound_ms then
    -- The clock of transaction_timeout, once it runs, only starts again from 0.
    if current_ms > 0 and spent_ms > 0 then
      perform set_config(setting, '0', true);
    end if;
    perform set_config(setting, bound_ms::text, true);
  end if;
end
$$;
--> statement-breakpoint
-- Why a lease is not held with this fence: for whoever reads the error.
create function leasehold_internal._refuse_guard(lease leasehold.leases, p_key text, p_fence bigint, at timestamptz) returns void
language plpgsql volatile
as $$
declare
  holder text := coalesce(lease.owner, 'Somebody without a name');
begin
  raise exception using
    errcode = 'LH001',
    message = format('the lease of %L with fence %s is not held any more', p_key, p_fence),
    detail = case
      when coalesce(lease.fence, 0) = 0 then 'Nobody holds the key: it was never granted in this database, or released so long ago that it is forgotten.'
      when lease.fence < p_fence then format('The last fence of this key is %s: fence %s was never granted in this database.', lease.fence, p_fence)
      when lease.fence > p_fence and lease.token is not null and lease.expires_at > at
        then format('%s holds the key since %s, with fence %s.', holder, lease.acquired_at, lease.fence)
      when lease.fence > p_fence
        then format('%s was granted the key at %s, with fence %s. Nobody holds it now.', holder, lease.acquired_at, lease.fence)
      when lease.revoked_at is not null then format('It was taken from %s by force at %s.', holder, lease.revoked_at)
      when lease.token is null then format('%s released it at %s. Nobody holds the key now.', holder, lease.released_at)
      else format('The lease of %s expired at %s. Nobody holds the key now.', holder, lease.expires_at)
    end,
    hint = 'Roll back: what this transaction was to write may be another''s by now. Acquire the lock again before you repeat it.';
end
$$;
--> statement-breakpoint
create function leasehold_internal._guard(p_key text, p_fence bigint, p_timeout_ms numeric) returns void
language plpgsql volatile
as $$
declare
  lease leasehold.leases;
  version tid;
  at timestamptz;
  bound_ms numeric;
begin
  if p_key is null or octet_length(p_key) not between 1 and 512 then
    raise exception using errcode = 'LH003', message = 'a key has 1 to 512 bytes, this one has ' || coalesce(octet_length(p_key)::text, 'none: it is null'),
      hint = 'Give lock.key, the full key with its prefix.';
  end if;
  if p_fence is null or p_fence < 1 then
    raise exception using errcode = 'LH003', message = 'a fence is 1 or more, not ' || coalesce(p_fence::text, 'null'),
      hint = 'Give lock.fence, which was granted with the lock.';
  end if;
  if p_timeout_ms <= 0 or p_timeout_ms > 2147483647 then
    raise exception using errcode = 'LH003', message = format('the timeout of a guard is more than nothing and at most 2147483647 ms, not %s ms', p_timeout_ms),
      hint = 'Leave it out for the TTL of the lease.';
  end if;

  -- Passed by renewals, by release, and by other guards; held against every grant, to the end of the transaction. It waits for
  -- a grant of this very key that is on its way to its commit, and for nothing else.
  select l.ctid into version from leasehold.leases l where l.key = p_key for key share;
  if found then
    -- A snapshot is older than the locks of its statement: the row is read again, by one that began after the lock.
    select l.* into lease from leasehold.leases l where l.key = p_key;
    -- Where one snapshot serves the whole transaction, that is the old row still. Postgres objects by itself to a grant since
    -- then, but not to a renewal, a release or a revocation: those change no key, and key share passes them.
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable') and currtid2('leasehold.leases', version) <> version then
      raise exception using errcode = 'serialization_failure',
        message = 'could not serialize access: the lease was renewed, released or revoked since the snapshot of this transaction',
        hint = 'Repeat the transaction. As its first statement, a guard hardly ever meets this.';
    end if;
  elsif current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    -- That snapshot does not show a key that was first granted since. To a row that it cannot see Postgres objects by itself; where
    -- there is none, the refusal below takes this one back.
    insert into leasehold.leases (key, fence, ttl_ms) values (p_key, 0, 0) on conflict do nothing;
  end if;

  at := clock_timestamp();
  if not coalesce(lease.fence = p_fence and lease.token is not null and lease.revoked_at is null and lease.expires_at > at, false) then
    perform leasehold_internal._refuse_guard(lease, p_key, p_fence, at);
  end if;

  -- An abandoned transaction would keep the key from everybody for ever: it ends by itself.
  bound_ms := ceil(coalesce(p_timeout_ms, greatest(lease.ttl_ms, 1000)));
  perform leasehold_internal._bound('idle_in_transaction_session_timeout', bound_ms);
  perform leasehold_internal._bound('statement_timeout', bound_ms);
  if current_setting('server_version_num')::integer >= 170000 then
    perform leasehold_internal._bound('transaction_timeout', bound_ms, extract(epoch from at - transaction_timestamp()) * 1000);
  end if;

  -- That there are guards at all, for the trigger of guard_table.
  perform set_config('leasehold.guards', pg_current_xact_id()::text, true);
  perform set_config(
    leasehold_internal._guards_setting(p_key),
    jsonb_build_object('xid', pg_current_xact_id()::text, 'keys', leasehold_internal._guards(p_key) || jsonb_build_object(p_key, p_fence))::text,
    true);
end
$$;
--> statement-breakpoint
create function leasehold.guard(key text, fence bigint, timeout interval default null) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
as $$
begin
  -- A caller's column may have a collation of its own, and two of them cannot be compared. So, too, in is_guarded and check_fence.
  perform leasehold_internal._guard(key collate "C", fence, extract(epoch from timeout)::numeric * 1000);
end
$$;
--> statement-breakpoint
comment on function leasehold.guard(text, bigint, interval) is 'First statement of a transaction that writes under a lock: select leasehold.guard(''account:42'', 17); fails with LH001 unless the key is held with this fence, and keeps it from everybody else until the transaction ends. Renewal and release pass. An idle transaction, or a statement, that lasts longer than "timeout" (default: the TTL of the lease, at least 1 s) is ended; from Postgres 17 on the whole transaction, too. Outside a transaction it protects nothing.';
--> statement-breakpoint
-- The client's guard: it knows in which database its lease is.
create function leasehold_internal.guard(p_key text, p_fence bigint, p_timeout_ms integer, p_place text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
as $$
begin
  if p_place is distinct from leasehold_internal.place() then
    raise exception using errcode = 'LH007',
      message = format('the lease of %L is in another database than %I, where this transaction writes', p_key, current_database()),
      detail = 'A guard works where the lease and the data are in one database.',
      hint = 'Make the lock with a locker for this database, or protect the writes with fence_table or check_fence.';
  end if;
  perform leasehold_internal._guard(p_key, p_fence, p_timeout_ms);
end
$$;
--> statement-breakpoint
-- The client's second statement: outside a transaction the guard was over before it began. SQL cannot tell that within one statement.
create function leasehold_internal.require_guard(p_key text, p_fence bigint) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
begin
  if ((leasehold_internal._guards(p_key) ->> p_key)::bigint = p_fence) is not true then
    raise exception using errcode = 'LH005',
      message = format('the guard of %L is over already: there is no open transaction', p_key),
      hint = 'Guard and write in one transaction: begin; select leasehold.guard(...); ...; commit;';
  end if;
end
$$;
--> statement-breakpoint
-- For guard_table, and for anybody who writes a trigger or policy of his own. The setting alone proves nothing, for anybody may set
-- it: the fence is compared under the lock. Whether the lease has expired or was released since its guard makes no difference.
create function leasehold.is_guarded(key text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  guarded bigint := leasehold_internal._guards(is_guarded.key) ->> is_guarded.key;
  current_fence bigint;
begin
  if guarded is null then
    return false;
  end if;
  select l.fence into current_fence from leasehold.leases l where l.key = is_guarded.key collate "C" for key share;
  return coalesce(current_fence = guarded, false);
end
$$;
--> statement-breakpoint
comment on function leasehold.is_guarded(text) is 'Whether this transaction guards the key: select leasehold.is_guarded(''account:42''); If so, since leasehold.guard passed, nobody else was granted it, nor will be until the transaction ends.';
--> statement-breakpoint
-- fence_table and guard_table run with the rights of whoever calls them, and so do their triggers, with those of whoever writes.
-- The name of a table that can have both, quoted.
create function leasehold_internal.protectable(target regclass) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  relation record;
begin
  select c.relkind, format('%I.%I', n.nspname, c.relname) as name into relation
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.oid = target;
  if not found then
    raise exception using errcode = 'LH003', message = 'the table is ' || coalesce(format('not there: no relation has the oid %s', target::oid), 'null'),
      hint = 'Give its name, with its schema: ''public.accounts''.';
  end if;
  if relation.relkind not in ('r', 'p') then
    raise exception using errcode = 'LH003',
      message = format('%s is not a table but %s', relation.name, case relation.relkind
        when 'v' then 'a view' when 'm' then 'a materialized view' when 'f' then 'a foreign table' when 'S' then 'a sequence'
        when 'i' then 'an index' when 'I' then 'an index' when 'c' then 'a composite type' else 'something else' end),
      hint = case relation.relkind
        when 'v' then 'Name the table that the view writes to.'
        when 'f' then 'Protect the table where it is: on its own server.'
        else 'Name a table.' end;
  end if;
  return relation.name;
end
$$;
--> statement-breakpoint
-- Partitions have their table's triggers, old-fashioned children do not.
create function leasehold_internal.warn_of_children(target regclass) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  children text := (
    select string_agg(i.inhrelid::regclass::text, ', ' order by i.inhrelid)
      from pg_inherits i join pg_class c on c.oid = i.inhparent
     where i.inhparent = target and c.relkind = 'r');
begin
  if children is not null then
    raise warning using message = format('tables that inherit from %s are not protected with it: %s', target, children),
      hint = 'Protect each of them by itself.';
  end if;
end
$$;
--> statement-breakpoint
create function leasehold_internal.check_fence_column(target regclass, column_name name) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  quoted text := leasehold_internal.protectable(target);
  col pg_attribute;
begin
  select a.* into col from pg_attribute a where a.attrelid = target and a.attname = column_name and a.attnum > 0 and not a.attisdropped;
  if not found then
    raise exception using errcode = 'LH003', message = format('%s has no column %s', quoted, coalesce(quote_ident(column_name), 'without a name')),
      hint = format('Add it: alter table %s add column %I bigint;', quoted, coalesce(column_name, 'fence'));
  end if;
  if col.atttypid <> 'bigint'::regtype then
    raise exception using errcode = 'LH003',
      message = format('the column %I of %s is of type %s, a fence is a bigint', column_name, quoted, format_type(col.atttypid, col.atttypmod)),
      detail = 'A fence is a position in the write-ahead log, and soon larger than any integer.',
      hint = format('alter table %s alter column %I type bigint;', quoted, column_name);
  end if;
  if col.attgenerated <> '' then
    raise exception using errcode = 'LH003', message = format('the column %I of %s is generated: nobody can write a fence into it', column_name, quoted),
      hint = format('Take an ordinary column: alter table %s add column fence bigint;', quoted);
  end if;
end
$$;
--> statement-breakpoint
-- The trigger's condition has found that the fence of the row would sink.
create function leasehold.refuse_old_fence() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  fence_column name;
  was bigint;
  comes bigint;
begin
  -- The column may have another name by now, and only the trigger of the whole table, not those of its partitions, depends on it.
  with recursive fencing as (
    select t.oid, t.tgrelid, t.tgparentid from pg_trigger t where t.tgrelid = tg_relid and t.tgname = tg_name
    union all
    select p.oid, p.tgrelid, p.tgparentid from fencing f join pg_trigger p on p.oid = f.tgparentid
  )
  select a.attname into fence_column
    from fencing f
    join pg_depend d on d.classid = 'pg_trigger'::regclass and d.objid = f.oid and d.refclassid = 'pg_class'::regclass and d.refobjid = f.tgrelid
    join pg_attribute a on a.attrelid = f.tgrelid and a.attnum = d.refobjsubid and a.attnum > 0
   limit 1;
  if fence_column is not null then
    execute format('select ($1).%1$I, ($2).%1$I', fence_column) into was, comes using old, new;
  end if;
  raise exception using
    errcode = 'LH006',
    message = case
      when comes is null then format('a row of %I.%I cannot lose its fence', tg_table_schema, tg_table_name)
      else format('fence %s is too old for a row of %I.%I', comes, tg_table_schema, tg_table_name) end,
    detail = format('The row was written with fence %s. "%s" takes the same fence or a larger one.', was, fence_column),
    hint = 'A later holder of the lock has written this row: acquire the lock again, read again, then write.',
    schema = tg_table_schema, table = tg_table_name, column = coalesce(fence_column, '');
end
$$;
--> statement-breakpoint
comment on function leasehold.refuse_old_fence() is 'Trigger function of fence_table.';
--> statement-breakpoint
-- The trigger that fences a column. By what it depends on, not by its name: a column can be renamed, and numbers change in a restore.
-- A partition has its trigger from its table, whose trigger has the dependency.
create function leasehold_internal.fence_trigger(target regclass, fence_column name) returns pg_trigger
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  with recursive fencing as (
    select t.oid as id, t.oid, t.tgrelid, t.tgparentid
      from pg_trigger t
     where t.tgrelid = target and t.tgfoid = 'leasehold.refuse_old_fence()'::regprocedure
    union all
    select f.id, p.oid, p.tgrelid, p.tgparentid from fencing f join pg_trigger p on p.oid = f.tgparentid
  )
  select t
    from fencing f
    join pg_depend d on d.classid = 'pg_trigger'::regclass and d.objid = f.oid and d.refclassid = 'pg_class'::regclass and d.refobjid = f.tgrelid
    join pg_attribute a on a.attrelid = f.tgrelid and a.attnum = d.refobjsubid and a.attname = fence_column
    join pg_trigger t on t.oid = f.id
   order by t.tgname
   limit 1;
end;
--> statement-breakpoint
create function leasehold.fence_table(target regclass, column_name name) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  quoted text := leasehold_internal.protectable(target);
  present pg_trigger;
  -- Triggers fire in the order of their names, and a later one could still change the row: this one comes late.
  trigger_name name := 'zz_leasehold_fence_' || column_name;
begin
  perform leasehold_internal.check_fence_column(target, column_name);
  perform leasehold_internal.warn_of_children(target);
  present := leasehold_internal.fence_trigger(target, column_name);
  if present.tgenabled in ('O', 'A') then
    return;
  end if;
  execute format('lock table only %s in share row exclusive mode', quoted);
  present := leasehold_internal.fence_trigger(target, column_name);
  if present.tgenabled in ('O', 'A') then
    return; -- by another transaction, in the meantime
  end if;
  if present.oid is not null then
    perform leasehold.unfence_table(target, column_name); -- it was disabled
  end if;
  -- Cut off to 63 bytes, or still that of a column which had this name before.
  if octet_length('zz_leasehold_fence_' || column_name) > 63 or exists (select from pg_trigger t where t.tgrelid = target and t.tgname = trigger_name) then
    trigger_name := 'zz_leasehold_fence_' || md5(clock_timestamp()::text);
  end if;
  -- As a condition of the trigger it costs no call for a row that is fine.
  execute format(
    'create trigger %I before update on %s for each row
     when (new.%3$I < old.%3$I or (new.%3$I is null and old.%3$I is not null))
     execute function leasehold.refuse_old_fence()', trigger_name, quoted, column_name);
end
$$;
--> statement-breakpoint
comment on function leasehold.fence_table(regclass, name) is 'Makes a column keep the largest fence that its row was written with: select leasehold.fence_table(''public.accounts'', ''fence''); An update that would lower it, or set it to null, fails with LH006. Each write must set the column to its fence.';
--> statement-breakpoint
create function leasehold.unfence_table(target regclass, column_name name) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  quoted text := leasehold_internal.protectable(target);
  present pg_trigger := leasehold_internal.fence_trigger(target, column_name);
begin
  perform leasehold_internal.check_fence_column(target, column_name);
  if present.tgparentid <> 0 then
    raise exception using errcode = 'LH003', message = format('%s is a partition, and fenced through the table that it is a part of', quoted),
      hint = format('Unfence that table: select leasehold.unfence_table(%L, %L);', (select p.tgrelid::regclass from pg_trigger p where p.oid = present.tgparentid), column_name);
  end if;
  if present.oid is not null then
    execute format('drop trigger %I on %s', present.tgname, quoted);
  end if;
end
$$;
--> statement-breakpoint
comment on function leasehold.unfence_table(regclass, name) is 'Takes off what fence_table has put on: select leasehold.unfence_table(''public.accounts'', ''fence''); The column stays.';
--> statement-breakpoint
-- After the row is written, because only then it is what it will be: other triggers have changed it, generated columns have their values.
create function leasehold.require_guard() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
-- To every writer the expression means the same, and gives the same text: of a date, say, or of a float8.
set standard_conforming_strings = on
set datestyle = 'ISO, MDY'
set intervalstyle = postgres
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = hex
as $$
declare
  -- Columns are called by their names, with or without the name of the table. A line of its own for the expression: it may end in a comment.
  key_of text := '(select (' || tg_argv[0] || E'\n)::text from (select ($';
  row_named text := ').*) as ' || quote_ident(tg_argv[1]) || ')';
  keys text[];
  key text;
  is_guarded boolean;
begin
  if tg_op = 'TRUNCATE' then
    raise exception using errcode = 'LH005',
      message = format('%I.%I is a guarded table: it cannot be truncated', tg_table_schema, tg_table_name),
      detail = 'That would write the rows of every key, and no guard covers them all.',
      hint = format('Delete row by row under guards, or take the protection off first: select leasehold.unguard_table(%L);', format('%I.%I', tg_table_schema, tg_table_name)),
      schema = tg_table_schema, table = tg_table_name;
  elsif tg_op = 'INSERT' then
    execute 'select array[' || key_of || '1' || row_named || ']' into keys using new;
  elsif tg_op = 'DELETE' then
    execute 'select array[' || key_of || '1' || row_named || ']' into keys using old;
  else
    -- A row that moves from one key to another is written under both.
    execute 'select array[' || key_of || '1' || row_named || ',' || key_of || '2' || row_named || ']' into keys using old, new;
    if keys[1] = keys[2] then
      keys := keys[1:1];
    end if;
  end if;

  foreach key in array keys loop
    if key is null then
      raise exception using errcode = 'LH005',
        message = format('a row of %I.%I cannot be written: it has no key', tg_table_schema, tg_table_name),
        detail = format('The table is guarded, and %s is null for this row.', tg_argv[0]),
        hint = 'Give every row a key, or guard the table with an expression that is never null.',
        schema = tg_table_schema, table = tg_table_name;
    end if;
    -- Who guards nothing may have no right to ask: then the name of what to ask must not even be read.
    is_guarded := false;
    if coalesce(current_setting('leasehold.guards', true), '') <> '' then
      is_guarded := leasehold.is_guarded(key);
    end if;
    if not is_guarded then
      raise exception using errcode = 'LH005',
        message = format('a row of %I.%I cannot be written: this transaction does not guard the key %L', tg_table_schema, tg_table_name, key),
        hint = format('Run this first, in the same transaction: select leasehold.guard(%L, <fence>);', key),
        schema = tg_table_schema, table = tg_table_name;
    end if;
  end loop;
  return null;
end
$$;
--> statement-breakpoint
comment on function leasehold.require_guard() is 'Trigger function of guard_table.';
--> statement-breakpoint
-- What the expression of guard_table gives must be a text. It is only parsed, never run: it may object to a row of nulls. Nor is the
-- table read: the planner would run immutable functions of its row policies, with the rights of whoever protects it.
create function leasehold_internal.check_key_expression(target regclass, key text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
-- as in require_guard
set standard_conforming_strings = on
set datestyle = 'ISO, MDY'
set intervalstyle = postgres
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = hex
as $$
declare
  quoted text := leasehold_internal.protectable(target);
  columns text := (
    select string_agg(format('(whole."row").%I', a.attname), ', ')
      from pg_attribute a
     where a.attrelid = target and a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v');
  key_type regtype;
begin
  if coalesce(key, '') !~ '[^[:space:]]' then
    raise exception using errcode = 'LH003', message = format('the key of %s is empty: there is nothing to guard it by', quoted),
      hint = 'Give an SQL expression over the columns of the table, such as: ''account:'' || id';
  end if;
  begin
    execute format(
      'select pg_typeof(k.key) from (values (true)) as one (row) left join (select (%s
       ) as key from (select %s from (select null::%s as "row" offset 0) as whole) as %I where false) as k on true',
      key, columns, quoted, (select c.relname from pg_class c where c.oid = target))
      into strict key_type;
  exception
    when insufficient_privilege then
      raise;
    when syntax_error_or_access_rule_violation or feature_not_supported or data_exception or cardinality_violation or no_data_found or too_many_rows then
      raise exception using errcode = 'LH003', message = format('the key of %s is no expression over its columns: %s', quoted, key),
        detail = sqlerrm,
        hint = 'Give an SQL expression such as: ''account:'' || id. Virtual generated columns have no value in a trigger; your own functions need their schema.';
  end;
  if (select t.typcategory from pg_type t where t.oid = key_type) <> 'S' then
    raise exception using errcode = 'LH003', message = format('the key of %s is of type %s, a key is a text: %s', quoted, key_type, key),
      hint = format('Write it as the lock''s full key: ''account:'' || (%s)', key);
  end if;
end
$$;
--> statement-breakpoint
-- The triggers of guard_table on a table: the one for rows, which partitions inherit, and those for truncate, which they do not.
create function leasehold_internal.guard_triggers(target regclass) returns setof pg_trigger
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select t.*
    from pg_trigger t
   where t.tgfoid = 'leasehold.require_guard()'::regprocedure
     and (t.tgrelid = target
       or t.tgname = 'zz_leasehold_guard_truncate'
         and t.tgrelid in (select s.relid from pg_partition_tree(target) s)
         -- a partition may be guarded for itself
         and not exists (select from pg_trigger o where o.tgrelid = t.tgrelid and o.tgname = 'zz_leasehold_guard' and o.tgparentid = 0));
end;
--> statement-breakpoint
create function leasehold.guard_table(target regclass, key text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  quoted text := leasehold_internal.protectable(target);
  table_name name := (select c.relname from pg_class c where c.oid = target);
  parent regclass;
  partition regclass;
begin
  perform leasehold_internal.check_key_expression(target, key);
  perform leasehold_internal.warn_of_children(target);
  for attempt in 1..2 loop
    select p.tgrelid into parent
      from leasehold_internal.guard_triggers(target) t join pg_trigger p on p.oid = t.tgparentid
     where t.tgrelid = target;
    if found then
      raise exception using errcode = 'LH003', message = format('%s is a partition, and guarded through the table that it is a part of', quoted),
        hint = format('Guard that table: select leasehold.guard_table(%L, %L);', parent, key);
    end if;
    if exists (
         select from leasehold_internal.guard_triggers(target) t
          where t.tgrelid = target and t.tgname = 'zz_leasehold_guard' and t.tgenabled in ('O', 'A')
            and t.tgargs = convert_to(key, getdatabaseencoding()) || E'\\000' || convert_to(table_name, getdatabaseencoding()) || E'\\000')
       and not exists (
         select from (select s.relid from pg_partition_tree(target) s union select target) s
          where not exists (
            select from pg_trigger t
             where t.tgrelid = s.relid and t.tgname = 'zz_leasehold_guard_truncate' and t.tgenabled in ('O', 'A')))
    then
      return;
    end if;
    exit when attempt = 2;
    execute format('lock table only %s in share row exclusive mode', quoted); -- then another may have done it already
  end loop;

  perform leasehold.unguard_table(target);
  execute format(
    'create trigger zz_leasehold_guard after insert or update or delete on %s for each row execute function leasehold.require_guard(%L, %L)',
    quoted, key, table_name);
  for partition in
    select s.relid from (select s.relid from pg_partition_tree(target) s union select target) s
     where not exists (select from pg_trigger t where t.tgrelid = s.relid and t.tgname = 'zz_leasehold_guard_truncate')
     order by s.relid
  loop
    execute format(
      'create trigger zz_leasehold_guard_truncate before truncate on %s for each statement execute function leasehold.require_guard()',
      leasehold_internal.protectable(partition));
  end loop;
end
$$;
--> statement-breakpoint
comment on function leasehold.guard_table(regclass, text) is 'Lets a table be written only in transactions that guard the key of the row: select leasehold.guard_table(''public.accounts'', $$''account:'' || id$$); "key" is an SQL expression over the columns, which gives the full key of the lock. Other writes fail with LH005, truncate always. Call it again to change the expression, and after making a partition, for its truncate.';
--> statement-breakpoint
create function leasehold.unguard_table(target regclass) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  quoted text := leasehold_internal.protectable(target);
  present pg_trigger;
begin
  for present in select * from leasehold_internal.guard_triggers(target) loop
    if present.tgparentid <> 0 then
      raise exception using errcode = 'LH003', message = format('%s is a partition, and guarded through the table that it is a part of', quoted),
        hint = format('Take it off that table: select leasehold.unguard_table(%L);', (select p.tgrelid::regclass from pg_trigger p where p.oid = present.tgparentid));
    end if;
    execute format('drop trigger %I on %s', present.tgname, leasehold_internal.protectable(present.tgrelid));
  end loop;
end
$$;
--> statement-breakpoint
comment on function leasehold.unguard_table(regclass) is 'Takes off what guard_table has put on: select leasehold.unguard_table(''public.accounts'');';
--> statement-breakpoint
create function leasehold.check_fence(resource text, fence bigint) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  mark leasehold.resource_fences;
  last bigint;
begin
  perform leasehold_internal._check_transaction();
  if check_fence.resource is null or octet_length(check_fence.resource) not between 1 and 512 then
    raise exception using errcode = 'LH003',
      message = 'the name of a resource has 1 to 512 bytes, this one has ' || coalesce(octet_length(check_fence.resource)::text, 'none: it is null'),
      hint = 'Give the name by which all who write to the resource call it.';
  end if;
  if check_fence.fence is null or check_fence.fence < 1 then
    raise exception using errcode = 'LH003', message = 'a fence is 1 or more, not ' || coalesce(check_fence.fence::text, 'null'),
      hint = 'Give lock.fence, which was granted with the lock.';
  end if;

  -- Again after each step that somebody else may have been faster in: every statement sees what was committed before it.
  loop
    select m.* into mark from leasehold.resource_fences m where m.resource = check_fence.resource collate "C";
    -- A mark that no fence can reach would refuse every writer for ever. Only what would raise it is looked at; and a key that was
    -- restored with a larger fence than this server has come to counts on from there.
    if last is null and coalesce(mark.fence < check_fence.fence, true) then
      last := leasehold_internal._last_fence();
      if check_fence.fence > last and not exists (select from leasehold.leases l where l.fence >= check_fence.fence) then
        raise exception using errcode = 'LH003',
          message = format('fence %s was never granted in this database', check_fence.fence),
          detail = format('The largest that can have been is %s.', last),
          hint = 'Give lock.fence, of a lock in this very database. If its data came from elsewhere without the last fences, "leasehold doctor" says what raises them.';
      end if;
    end if;
    if mark.resource is null then
      insert into leasehold.resource_fences (resource, fence, checked_at)
      values (check_fence.resource, check_fence.fence, clock_timestamp())
      on conflict do nothing;
      exit when found;
    elsif mark.fence = check_fence.fence then
      return; -- nothing is written
    elsif mark.fence > check_fence.fence then
      raise exception using
        errcode = 'LH006',
        message = format('fence %s is too old for the resource %L', check_fence.fence, check_fence.resource),
        detail = format('It was used with fence %s at %s.', mark.fence, mark.checked_at),
        hint = 'A later holder of the lock uses it: acquire the lock again, read again, then write.';
    else
      update leasehold.resource_fences m
         set fence = check_fence.fence, checked_at = clock_timestamp()
       where m.resource = check_fence.resource collate "C" and m.fence < check_fence.fence;
      exit when found;
    end if;
  end loop;

  -- A mark that a crash forgets would let an older fence pass.
  if current_setting('synchronous_commit') in ('off', 'local', 'remote_write') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
end
$$;
--> statement-breakpoint
comment on function leasehold.check_fence(text, bigint) is 'For writers that cannot share a transaction with their data: select leasehold.check_fence(''bucket/report.csv'', 17); passes if no larger fence was checked for the resource before, and remembers this one; fails with LH006 otherwise, and with LH003 if no such fence can have been granted here. Call it in a transaction of its own, just before the write.';
--> statement-breakpoint
create function leasehold.reset_fence(resource text) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  forgotten bigint;
begin
  perform leasehold_internal._check_transaction();
  if reset_fence.resource is null then
    raise exception using errcode = 'LH003', message = 'the name of a resource has 1 to 512 bytes, this one has none: it is null',
      hint = 'Give the name by which check_fence calls it, see leasehold.resource_fences.';
  end if;
  delete from leasehold.resource_fences m where m.resource = reset_fence.resource collate "C" returning m.fence into forgotten;
  return forgotten;
end
$$;
--> statement-breakpoint
comment on function leasehold.reset_fence(text) is 'Forgets the mark that check_fence keeps of a resource: select leasehold.reset_fence(''bucket/report.csv''); For an administrator, where a mark refuses those who hold the lock. Gives the mark; null when there was none. From then on any fence passes once more: first see that no old writer is left, or check the fence of a lock that is held right afterwards.';
