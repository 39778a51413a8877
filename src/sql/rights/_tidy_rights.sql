-- Takes and gives what deviates. "cascade": whoever was given a right to grant may have granted it.
create function leasehold_internal._tidy_rights() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  stray record;
  mark text;
  -- To revoke a right to a view takes it from all its columns, too.
  marks text[] := array(
    select format('grant select (%I) on leasehold_internal._granted to %I', p.profile, r.rolname)
      from leasehold_internal._profiles() p
      join pg_attribute a on a.attrelid = p.id and a.attnum = p.part
     cross join lateral aclexplode(a.attacl) given
      join pg_roles r on r.oid = given.grantee
     where p.kind = 'column' and given.privilege_type = p.privilege);
begin
  perform pg_advisory_xact_lock(:maintenance_class, 0);
  for stray in
    select s.*, case when s.grantee = 'public' then 'public' else quote_ident(s.grantee) end as who
      from leasehold_internal.stray_rights() s where not s.is_missing
  loop
    execute leasehold_internal._grant_text('revoke', stray.kind, stray.name, stray.privilege, stray.who) || ' cascade';
  end loop;
  foreach mark in array marks loop
    execute mark;
  end loop;
  -- Asked again: a right that could be passed on is taken, and given as it should be.
  for stray in
    select s.*, quote_ident(s.grantee) as who from leasehold_internal.stray_rights() s where s.is_missing
  loop
    execute leasehold_internal._grant_text('grant', stray.kind, stray.name, stray.privilege, stray.who);
  end loop;
end
$$;
