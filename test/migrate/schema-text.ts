// What stands in the catalog about the two schemas, as text for people. From the columns of the catalog, for what Postgres
// prints of a query or a body differs between its versions; those are src/sql itself.
import type postgres from "postgres";

/** Paragraphs, one for each object, in an order that is the same everywhere. */
export async function schemaText(sql: postgres.Sql): Promise<string> {
  const parts = [schemas, tables, sequences, types, views, functions];
  const objects = await Promise.all(parts.map((part) => part(sql)));
  return `${objects.flatMap((texts) => texts.sort()).join("\n\n")}\n`;
}

const ours = `n.nspname in ('leasehold', 'leasehold_internal')`;

/** Who else than the owner may do what, such as "public: execute". */
const rights = (acl: string, kind: string, owner: string) => `(
  select string_agg(e.who || ': ' || e.privileges, '; ' order by e.who collate "C") from (
    select coalesce(r.rolname, 'public') as who,
           string_agg(lower(a.privilege_type) || case when a.is_grantable then ' with grant option' else '' end, ', '
                      order by a.privilege_type) as privileges
      from aclexplode(coalesce(${acl}, acldefault('${kind}', ${owner}))) a left join pg_roles r on r.oid = a.grantee
     where a.grantee <> ${owner}
     group by coalesce(r.rolname, 'public')) e)`;

type Detail = readonly [label: string, value: string | null | undefined];

function object(head: string, ...details: readonly Detail[]): string {
  const lines = details.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return [head, ...lines.map(([label, value]) => `  ${label} ${value}`)].join("\n");
}

async function schemas(sql: postgres.Sql): Promise<string[]> {
  const found = await sql.unsafe(`
    select n.nspname::text as name, obj_description(n.oid, 'pg_namespace') as comment,
           ${rights("n.nspacl", "n", "n.nspowner")} as rights
      from pg_namespace n
     where ${ours}`);
  return found.map(({ name, comment, rights }) =>
    object(`schema ${name}`, ["comment:", comment], ["rights:", rights ?? "none"]),
  );
}

/** Tables, indexes, constraints and triggers. */
async function tables(sql: postgres.Sql): Promise<string[]> {
  const found = await sql.unsafe(`
    select n.nspname || '.' || c.relname as name, c.oid::int8 as oid, obj_description(c.oid, 'pg_class') as comment,
           case c.relpersistence when 'u' then 'unlogged ' when 'p' then '' else c.relpersistence::text end as persistence,
           case c.relkind when 'r' then 'table' else 'relation of kind ' || c.relkind::text end as kind,
           array_to_string(c.reloptions, ', ') as options, array_to_string(t.reloptions, ', ') as toast_options,
           c.relrowsecurity or c.relforcerowsecurity as row_security, c.relreplident::text as replica_identity,
           ${rights("c.relacl", "r", "c.relowner")} as rights
      from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_class t on t.oid = c.reltoastrelid
     where ${ours} and c.relkind not in ('v', 'i', 'S', 'c')`);
  const described = found.map(async (table) => {
    const constraints = await sql.unsafe(`
      select conname || ': ' || pg_get_constraintdef(oid) as text from pg_constraint
       where conrelid = ${table.oid} and contype <> 'n' -- those of not null have rows of their own since Postgres 18
       order by conname collate "C"`);
    const indexes = await sql.unsafe(`
      select pg_get_indexdef(i.indexrelid) || case when i.indisvalid then '' else ' (invalid)' end as text
        from pg_index i join pg_class c on c.oid = i.indexrelid
       where i.indrelid = ${table.oid}
       order by c.relname collate "C"`);
    const triggers = await sql.unsafe(`
      select pg_get_triggerdef(oid) || ' (enabled: ' || tgenabled::text || ')' as text from pg_trigger
       where tgrelid = ${table.oid} and not tgisinternal
       order by tgname collate "C"`);
    return object(
      `${table.persistence}${table.kind} ${table.name}`,
      ["comment:", table.comment],
      ["rights:", table.rights ?? "none"],
      ["options:", table.options],
      ["toast options:", table.toast_options],
      ["row security:", table.row_security ? "yes" : null],
      ["replica identity:", table.replica_identity === "d" ? null : table.replica_identity],
      ...(await columns(sql, table.oid)),
      ...constraints.map(({ text }): Detail => ["constraint", text]),
      ...indexes.map(({ text }): Detail => ["index", text]),
      ...triggers.map(({ text }): Detail => ["trigger", text]),
    );
  });
  return Promise.all(described);
}

async function columns(sql: postgres.Sql, relation: number): Promise<Detail[]> {
  const found = await sql.unsafe(`
    select a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type,
           case when a.attcollation <> t.typcollation then 'collate ' || quote_ident(l.collname) end as collation,
           case when a.attnotnull then 'not null' end as required,
           case when a.attidentity <> '' then 'identity ' || a.attidentity::text end as identity,
           case when a.attgenerated <> '' then 'generated' end as generated,
           'default ' || pg_get_expr(d.adbin, d.adrelid) as "default",
           case when a.attstorage <> t.typstorage then 'storage ' || a.attstorage::text end as storage,
           'options ' || array_to_string(a.attoptions, ', ') as options,
           'rights ' || array_to_string(a.attacl, ', ') as rights,
           col_description(a.attrelid, a.attnum) as comment
      from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_collation l on l.oid = a.attcollation
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attrelid = ${relation} and a.attnum > 0 and not a.attisdropped
     order by a.attnum`);
  return found.map((column) => {
    const { name, type, collation, required, identity, generated, default: value, storage, options, rights } = column;
    const traits = [type, collation, required, identity, generated, value, storage, options, rights].filter(Boolean);
    return ["column", `${name} ${traits.join(" ")}${column.comment === null ? "" : ` -- ${column.comment}`}`];
  });
}

async function sequences(sql: postgres.Sql): Promise<string[]> {
  const found = await sql.unsafe(`
    select n.nspname || '.' || c.relname as name, obj_description(c.oid, 'pg_class') as comment,
           format('%s, start %s, minimum %s, maximum %s, increment %s, cache %s%s', format_type(s.seqtypid, null), s.seqstart,
                  s.seqmin, s.seqmax, s.seqincrement, s.seqcache, case when s.seqcycle then ', cycle' end) as numbers,
           (select d.refobjid::regclass::text from pg_depend d
             where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i') and d.refobjsubid > 0) as owner,
           ${rights("c.relacl", "s", "c.relowner")} as rights
      from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace
     where ${ours}`);
  return found.map(({ name, comment, numbers, owner, rights }) =>
    object(
      `sequence ${name}`,
      ["comment:", comment],
      ["rights:", rights ?? "none"],
      ["numbers:", numbers],
      ["owned by:", owner],
    ),
  );
}

/** Those that are not the row type, or the array, of something else here. */
async function types(sql: postgres.Sql): Promise<string[]> {
  const found = await sql.unsafe(`
    select n.nspname || '.' || t.typname as name, t.typtype::text as kind, t.typrelid::int8 as relation,
           obj_description(t.oid, 'pg_type') as comment,
           (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid) as labels,
           ${rights("t.typacl", "T", "t.typowner")} as rights
      from pg_type t join pg_namespace n on n.oid = t.typnamespace left join pg_class c on c.oid = t.typrelid
     where ${ours} and t.typelem = 0 and coalesce(c.relkind, 'c') = 'c'`);
  return Promise.all(
    found.map(async ({ name, kind, relation, comment, labels, rights }) =>
      object(
        `type ${name} (${kind})`,
        ["comment:", comment],
        ["rights:", rights ?? "none"],
        ["labels:", labels],
        ...(await columns(sql, relation)),
      ),
    ),
  );
}

async function views(sql: postgres.Sql): Promise<string[]> {
  const found = await sql.unsafe(`
    select n.nspname || '.' || c.relname as name, c.oid::int8 as oid, obj_description(c.oid, 'pg_class') as comment,
           array_to_string(c.reloptions, ', ') as options, ${rights("c.relacl", "r", "c.relowner")} as rights
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where ${ours} and c.relkind = 'v'`);
  return Promise.all(
    found.map(async ({ name, oid, comment, options, rights }) =>
      object(
        `view ${name}`,
        ["comment:", comment],
        ["rights:", rights ?? "none"],
        ["options:", options],
        ...(await columns(sql, oid)),
      ),
    ),
  );
}

async function functions(sql: postgres.Sql): Promise<string[]> {
  const found = await sql.unsafe(`
    select n.nspname || '.' || p.proname || '(' || pg_get_function_arguments(p.oid) || ')' as name,
           case p.prokind when 'f' then 'function' when 'p' then 'procedure' else 'aggregate' end as kind,
           pg_get_function_result(p.oid) as result, obj_description(p.oid, 'pg_proc') as comment,
           concat_ws(' ', l.lanname, case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
                     case when p.prosecdef then 'security definer' end, case when p.proisstrict then 'strict' end,
                     case when p.proleakproof then 'leakproof' end,
                     case p.proparallel when 's' then 'parallel safe' when 'r' then 'parallel restricted' end,
                     case when p.procost <> 100 then 'cost ' || p.procost end,
                     case when p.proretset and p.prorows <> 1000 then 'rows ' || p.prorows end,
                     case when p.prosupport <> 0 then 'support ' || p.prosupport::text end) as traits,
           array_to_string(p.proconfig, '; ') as settings, ${rights("p.proacl", "f", "p.proowner")} as rights
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
     where ${ours}`);
  return found.map(({ name, kind, result, comment, traits, settings, rights }) =>
    object(
      `${kind} ${name}`,
      ["returns:", result],
      ["traits:", traits],
      ["settings:", settings],
      ["comment:", comment],
      ["rights:", rights ?? "none"],
    ),
  );
}
