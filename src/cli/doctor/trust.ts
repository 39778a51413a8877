import type { Database } from "../database.js";
import { type Finding, ok, problem, warning } from "./finding.js";

/** Whose code runs, and who can do more than they were granted. */
export interface Trust {
  readonly owner: string;
  /** What makes the connected role more than one that was granted the right to lock; null: nothing does. */
  readonly excess: "superuser" | "owner" | "member" | null;
  /** Roles other than superusers that can read tokens: by a grant, by `pg_read_all_data`, or as members of the owner. */
  readonly tokenReaders: readonly string[];
  /** What `leasehold_internal.stray_rights()` returns, in words; null when this role may not call it. */
  readonly strays: readonly string[] | null;
  /** Rights that a role was granted and lacks now. */
  readonly missing: readonly string[];
}

/** Null when there is no schema. Reads the catalog, which every role may read. */
export async function readTrust(database: Database): Promise<Trust | null> {
  const [row] = await database.query(`
    select pg_catalog.pg_get_userbyid(n.nspowner)::pg_catalog.text as owner,
           (select case when r.rolsuper then 'superuser' when r.oid operator(pg_catalog.=) n.nspowner then 'owner'
                        when pg_catalog.pg_has_role(r.oid, n.nspowner, 'usage') then 'member' end
              from pg_catalog.pg_roles r where r.rolname operator(pg_catalog.=) current_user) as excess,
           (select pg_catalog.has_function_privilege(p.oid, 'execute') and pg_catalog.has_schema_privilege(i.oid, 'usage')
              from pg_catalog.pg_proc p join pg_catalog.pg_namespace i on i.oid operator(pg_catalog.=) p.pronamespace
             where i.nspname operator(pg_catalog.=) 'leasehold_internal'::pg_catalog.name
               and p.proname operator(pg_catalog.=) 'stray_rights'::pg_catalog.name) as callable
      from pg_catalog.pg_namespace n where n.nspname operator(pg_catalog.=) 'leasehold'::pg_catalog.name`);
  if (row === undefined) return null;
  const readers = await database.query(`
    select distinct r.rolname::pg_catalog.text as role
      from pg_catalog.pg_roles r
     cross join pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
     where n.nspname operator(pg_catalog.=) 'leasehold'::pg_catalog.name
       and c.relname operator(pg_catalog.=) any ('{leases,waiters}'::pg_catalog.name[])
       and not r.rolsuper and r.oid operator(pg_catalog.<>) n.nspowner
       and not pg_catalog.starts_with(r.rolname::pg_catalog.text, 'pg_')
       and pg_catalog.has_schema_privilege(r.oid, n.oid, 'usage') and pg_catalog.has_any_column_privilege(r.oid, c.oid, 'select')
     order by 1`);
  const rights =
    row.callable === true
      ? await database.query(
          "select s.is_missing as missing, s.kind, s.name, s.privilege, s.grantee from leasehold_internal.stray_rights() s",
        )
      : null;
  const told = (isMissing: boolean): string[] =>
    (rights ?? [])
      .filter(({ missing }) => missing === isMissing)
      .map(({ kind, name, privilege, grantee }) => `${grantee}: ${privilege} on ${kind} ${name}`);
  return {
    owner: String(row.owner),
    excess: row.excess as Trust["excess"],
    tokenReaders: readers.map(({ role }) => String(role)),
    strays: rights === null ? null : told(false),
    missing: told(true),
  };
}

interface TrustFacts {
  readonly trust: Trust | null;
  readonly server: { readonly role: string };
}

export function trustFindings({ trust, server }: TrustFacts): readonly (Finding | null)[] {
  if (trust === null) return [];
  return [owner(trust), role(trust, server.role), rights(trust), tokens(trust)];
}

function owner({ owner }: Trust): Finding {
  return ok("owner", `The schemas belong to ${owner}, whose code runs with the rights of every role that locks.`);
}

/** The role that migrates is not the one to lock with, but this cannot know which of the two is connected: no problem. */
function role({ owner, excess }: Trust, role: string): Finding {
  if (excess === null) return ok("role", `${role} can do no more to the schemas than it was granted.`);
  const is = {
    superuser: "is a superuser",
    owner: "owns the schemas",
    member: `is a member of ${owner}, who owns them`,
  };
  return warning(
    "role",
    `${role} ${is[excess]}: it can read the secret tokens of locks, change the tables and drop the schemas.`,
    "To migrate, that is right. For the application make a role of its own (create role app login), and run as the owner: select leasehold.grant_usage('app');",
  );
}

const restore = "Run as the owner: leasehold migrate";

function rights({ strays, missing }: Trust): Finding {
  if (strays === null)
    return ok("rights", "Who has which rights to the schemas cannot be asked by this role (grant_usage).");
  if (strays.length > 0) {
    return problem(
      "rights",
      `${count(strays, "right was", "rights were")} given by none of grant_usage, grant_monitoring and grant_admin (by default privileges, a restore, or by hand): ${some(strays)}`,
      `${restore}. It takes them back.`,
    );
  }
  if (missing.length > 0) {
    return warning(
      "rights",
      `${count(missing, "right is", "rights are")} missing of what was granted: ${some(missing)}`,
      `${restore}. It gives them again.`,
    );
  }
  return ok(
    "rights",
    "Nobody has rights to the schemas but the owner, and those whom grant_usage and the like gave them.",
  );
}

function tokens({ owner, tokenReaders }: Trust): Finding {
  if (tokenReaders.length === 0)
    return ok("tokens", `Nobody but superusers and ${owner} can read the secret tokens of locks.`);
  return warning(
    "tokens",
    `Besides superusers and ${owner}, the secret tokens of locks can be read by: ${tokenReaders.join(", ")}. Who knows a token can release the lock.`,
    "Find out by what: a grant, pg_read_all_data, or that they are members of the owner. Take it from those who should not.",
  );
}

const SHOWN = 5;

function some(rights: readonly string[]): string {
  const rest = rights.length - SHOWN;
  return `${rights.slice(0, SHOWN).join("; ")}${rest > 0 ? `; and ${rest} more` : ""}.`;
}

function count(rights: readonly string[], one: string, many: string): string {
  return `${rights.length} ${rights.length === 1 ? one : many}`;
}
