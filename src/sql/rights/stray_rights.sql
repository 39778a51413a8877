-- Privileges that deviate from the profiles. is_missing false: neither the owner's nor granted by grant_usage and the like.
-- They come from default privileges, or from a restore without privileges, which lets everybody execute every function.
-- is_missing true: part of what a role was granted, but gone. Reads only the catalog.
create function leasehold_internal.stray_rights()
returns table (is_missing boolean, kind text, name text, privilege text, grantee text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
  with object as materialized (
    select o.* from leasehold_internal._objects() o
  ),
  profile as materialized (
    select p.* from leasehold_internal._profiles() p
  ),
  given as materialized (
    select o.kind, o.id, o.part, o.name, o.owner, a.grantee, a.privilege_type, a.is_grantable
      from object o cross join lateral aclexplode(o.acl) a
     where a.grantee <> o.owner
  ),
  granted as materialized (
    select distinct g.grantee, p.profile
      from given g
      join profile p on p.kind = 'column' and g.kind = 'column' and p.id = g.id and p.part = g.part
                    and p.privilege = g.privilege_type
     where g.grantee <> 0
  )
  select false, g.kind, g.name, g.privilege_type, coalesce(r.rolname::text, 'public')
    from given g left join pg_roles r on r.oid = g.grantee
   where g.is_grantable
      or not exists (
        select from granted m join profile p on p.profile = m.profile
         where m.grantee = g.grantee and p.kind = g.kind and p.id = g.id and p.part = g.part and p.privilege = g.privilege_type)
  union all
  select distinct true, p.kind, o.name, p.privilege, r.rolname::text
    from granted m
    join profile p on p.profile = m.profile
    join object o on o.kind = p.kind and o.id = p.id and o.part = p.part
    join pg_roles r on r.oid = m.grantee
   where m.grantee <> o.owner
     and not exists (
       select from given g
        where g.grantee = m.grantee and g.kind = p.kind and g.id = p.id and g.part = p.part and g.privilege_type = p.privilege)
   order by 1, 5, 2, 3, 4;
$$;
