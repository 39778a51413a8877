-- Revokes and grants what deviates from the profiles. With "cascade", because a role that could pass a right on may have done
-- so.
create function leasehold_internal._tidy_rights() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  stray record;
  mark text;
  -- Revoking a right to a view revokes it for all its columns, so the marks are granted again.
  marks text[] := array(
    select format('grant select (%I) on leasehold_internal._granted to %I', p.profile, r.rolname)
      from leasehold_internal._profiles() p
      join pg_attribute a on a.attrelid = p.id and a.attnum = p.part
     cross join lateral aclexplode(a.attacl) given
      join pg_roles r on r.oid = given.grantee
     where given.privilege_type = p.privilege);
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
  -- Query again: a right that could be passed on was revoked above, and is now missing.
  for stray in
    select s.*, quote_ident(s.grantee) as who from leasehold_internal.stray_rights() s where s.is_missing
  loop
    execute leasehold_internal._grant_text('grant', stray.kind, stray.name, stray.privilege, stray.who);
  end loop;
end
$$;
