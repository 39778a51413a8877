import { NotMigratedError, UnsafeBackendError } from "../../errors/errors.js";
import { quoteIdentifier, quoteLiteral } from "../../runtime/quote.js";
import type { Row } from "./link.js";
import { SCHEMA_VERSION } from "./schema-version.js";

/**
 * The owner of a schema can put code into it: a function, a trigger on a table, a view. A role that uses it runs that
 * code with its own rights (rule 11). So the owners are read from the catalog, which runs no code, before anything in
 * the schemas is used.
 */
type Trust =
  /** Creates or changes objects here. Trusts only itself and superusers, who need no trap. */
  | "creator"
  /**
   * Only calls what is there. Also trusts the owner of the schema leasehold, who can run code as every role that locks:
   * a role cannot know whether that is the right owner. A superuser trusts only superusers.
   */
  | "caller"
  /** A caller if the role cannot create schemas. Otherwise a creator: it creates its own, or finds out whose these are. */
  | "migrator";

const MISSING = "missing";

const trustsOwner: Readonly<Record<Trust, string>> = {
  creator: "false",
  caller: "true",
  migrator:
    "not pg_catalog.has_database_privilege(me.oid, (select d.oid from pg_catalog.pg_database d where d.datname operator(pg_catalog.=) pg_catalog.current_database()), 'create')",
};

/**
 * Selects the first object that an untrusted role owns, or a schema whose functions everybody can call; else, that a
 * schema is missing. Another role could create a missing schema a moment later, so nothing may be called then. If both
 * are there and trusted, only a trusted role can replace them. Safe under any search_path, and needs no rights. Row
 * types and indexes belong to the owner of their table.
 */
export function foreignObjects(trust: Trust): string {
  return `with me as (
    select r.oid, r.rolname, r.rolsuper from pg_catalog.pg_roles r where r.rolname operator(pg_catalog.=) current_user
  ), space as (
    select n.oid, n.nspname, n.nspowner, n.nspacl from pg_catalog.pg_namespace n
     where n.nspname operator(pg_catalog.=) any ('{leasehold,leasehold_internal}'::pg_catalog.name[])
  ), trusted as (
    select me.oid from me
    union all
    select r.oid from pg_catalog.pg_roles r where r.rolsuper
    union all
    select s.nspowner from space s cross join me
     where s.nspname operator(pg_catalog.=) 'leasehold'::pg_catalog.name and not me.rolsuper and ${trustsOwner[trust]}
  ), object as (
    select 1 as place, 'schema' as kind, s.nspname::pg_catalog.text as name, s.nspowner as owner from space s
    union all
    select 2, case when c.relkind operator(pg_catalog.=) 'S' then 'sequence' when c.relkind operator(pg_catalog.=) 'v' then 'view' else 'table' end,
           pg_catalog.format('%I.%I', s.nspname, c.relname), c.relowner
      from pg_catalog.pg_class c join space s on s.oid operator(pg_catalog.=) c.relnamespace
     where c.relkind operator(pg_catalog.=) any ('{r,p,v,m,f,S}'::pg_catalog."char"[])
    union all
    select 3, 'function', pg_catalog.format('%I.%I', s.nspname, p.proname), p.proowner
      from pg_catalog.pg_proc p join space s on s.oid operator(pg_catalog.=) p.pronamespace
    union all
    select 4, 'type', pg_catalog.format('%I.%I', s.nspname, t.typname), t.typowner
      from pg_catalog.pg_type t join space s on s.oid operator(pg_catalog.=) t.typnamespace
    union all
    -- The right to create a trigger can be granted.
    select 5, 'function of a trigger on', pg_catalog.format('%I.%I', s.nspname, c.relname), p.proowner
      from pg_catalog.pg_trigger t
      join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) t.tgrelid
      join space s on s.oid operator(pg_catalog.=) c.relnamespace
      join pg_catalog.pg_proc p on p.oid operator(pg_catalog.=) t.tgfoid
    union all
    -- So can the right to reference a table. A delete or update here then reads or writes the referencing table, which may have triggers.
    select 5, 'foreign key to', pg_catalog.format('%I.%I', s.nspname, c.relname), r.relowner
      from pg_catalog.pg_constraint f
      join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) f.confrelid
      join space s on s.oid operator(pg_catalog.=) c.relnamespace
      join pg_catalog.pg_class r on r.oid operator(pg_catalog.=) f.conrelid
  )
  select found.kind, found.name, found.owner, me.rolname::pg_catalog.text as role, found.open,
         found.id is not null and not me.rolsuper and pg_catalog.pg_has_role(me.oid, found.id, 'member') as member,
         pg_catalog.current_database()::pg_catalog.text as database
    from me cross join (
      select o.place, o.kind, o.name, r.rolname::pg_catalog.text as owner, r.oid as id, false as open
        from object o join pg_catalog.pg_roles r on r.oid operator(pg_catalog.=) o.owner
       where not exists (select from trusted t where t.oid operator(pg_catalog.=) o.owner)
      union all
      select 6, 'schema', s.nspname::pg_catalog.text, r.rolname::pg_catalog.text, null::pg_catalog.oid, true
        from space s join pg_catalog.pg_roles r on r.oid operator(pg_catalog.=) s.nspowner
       cross join me cross join lateral pg_catalog.aclexplode(s.nspacl) a
       where a.grantee operator(pg_catalog.=) 0::pg_catalog.oid and a.privilege_type operator(pg_catalog.=) 'USAGE'
         and s.nspname operator(pg_catalog.=) 'leasehold_internal'::pg_catalog.name
         and s.nspowner operator(pg_catalog.<>) me.oid and not r.rolsuper
      union all
      select 7, '${MISSING}', '', '', null::pg_catalog.oid, false from (select pg_catalog.count(*) as n from space) made
       where made.n operator(pg_catalog.<) 2
    ) found
   order by found.place, found.name limit 1`;
}

/** Sent before anything in the schemas is called. */
export const FOREIGN_OBJECTS: string = foreignObjects("caller");

/** Takes the rows of `foreignObjects`. False if a schema is missing: then nothing may be called. @throws UnsafeBackendError */
export function refuseForeign([found]: readonly Row[], act: "Connect" | "Migrate" = "Connect"): boolean {
  if (found === undefined) return true;
  if (found.kind === MISSING) return false;
  const [kind, name, owner, role] = [found.kind, found.name, found.owner, found.role].map(String);
  const whose = quoteIdentifier(owner as string);
  if (found.open === true) {
    throw new UnsafeBackendError({
      problem: `Everybody may call the functions of the schema ${name} of ${whose}: that is not how Leasehold leaves it`,
      remedy: `Find out whose it is: if ${whose} is to be trusted, migrate again as ${whose}, which puts the rights in order`,
    });
  }
  const become =
    found.member === true
      ? `, or become it: alter role ${quoteIdentifier(role as string)} in database ${quoteIdentifier(String(found.database))} set role = ${quoteLiteral(owner as string)};`
      : "";
  throw new UnsafeBackendError({
    problem: `The ${kind} ${name} belongs to ${whose}, whose code would run with the rights of ${quoteIdentifier(role as string)}`,
    remedy: `${act} as ${whose}${become || ", or find out whose it is and drop it"}`,
  });
}

/** @throws UnsafeBackendError, NotMigratedError */
export function refuseForeignOrMissing(rows: readonly Row[]): void {
  if (!refuseForeign(rows)) throw new NotMigratedError({ found: null, needed: SCHEMA_VERSION });
}

/** The same for a script that runs without a client: it fails here. */
export function guardBlock(): string {
  return `do $guard$
declare
  alien record;
begin
  for alien in ${foreignObjects("creator")}
  loop
    continue when alien.kind operator(pg_catalog.=) '${MISSING}';
    raise exception using errcode = 'LH004',
      message = pg_catalog.format('the %s %s belongs to %I, whose code would run with the rights of %I', alien.kind, alien.name, alien.owner, alien.role),
      hint = pg_catalog.format('Run this as %I, or find out whose it is and drop it.', alien.owner);
  end loop;
end
$guard$`;
}
