// A schema full of traps: operators, functions, types and relations under the names that statements of this package use, in their
// exact forms and in forms that fit better than Postgres's own. Each says in the server's log that it was sprung, by what, and then
// does what the real one does, so that everything goes on.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type postgres from "postgres";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Every word of the sources and migrations that could be the name of a function, a type or a relation. */
function wordsOfTheSources(): string[] {
  const words = new Set<string>();
  const read = (path: string): void => {
    if (statSync(path).isDirectory()) for (const name of readdirSync(path)) read(join(path, name));
    else if (/\.(ts|sql)$/.test(path))
      for (const word of readFileSync(path, "utf8").match(/[a-z_][a-z_0-9]*/g) ?? []) words.add(word);
  };
  for (const folder of ["src", "migrations"]) read(join(root, folder));
  return [...words];
}

/** Sets them in a schema that is there. Gives how many there are of each kind. */
export async function setTraps(sql: postgres.Sql, schema: string): Promise<Record<string, number>> {
  await sql.unsafe(`
    create function ${schema}.log_trap(what pg_catalog.text) returns pg_catalog.bool language plpgsql set search_path = pg_catalog as $$
    begin raise log 'SPRUNG % BY %', what, left(regexp_replace(current_query(), '\\s+', ' ', 'g'), 400); return true; end $$;
    grant usage on schema ${schema} to public`);
  // Compiled under a path without the traps.
  const counts = await sql.unsafe(
    `set search_path = pg_catalog;
     create temp table words as select w from unnest($words$${JSON.stringify(wordsOfTheSources()).replace("[", "{").replace(/\]$/, "}")}$words$::text[]) w;
     do $do$
     declare
       r record; n int := 0; place text := '${schema}';
       -- What a value of one type passes for, and the type that a better-fitting form would have instead.
       narrower jsonb := '{"text": "name", "bigint": "integer", "numeric": "integer", "double precision": "numeric", "regclass": "text", "oid": "integer", "timestamp with time zone": "timestamp without time zone", "integer": "smallint", "name": "text", "interval": "text", "boolean": "text"}';
       fit text; body text; result text;
     begin
       for r in select o.oprname, o.oprleft::regtype::text l, o.oprright::regtype::text rt, o.oprresult::regtype::text res, o.oprkind from pg_operator o
          where o.oprnamespace = 'pg_catalog'::regnamespace
            and o.oprname in ('=', '<>', '<', '>', '<=', '>=', '+', '-', '*', '/', '%', '||', '->', '->>', '~', '!~', '~~', '&&', '@>', '>>', '<<', '&', '|', '^', '?', '@?')
            and not exists (select from pg_type t where t.oid in (o.oprleft, o.oprright, o.oprresult) and t.typtype = 'p')
       loop
         n := n + 1;
         begin
           if r.oprkind = 'b' then
             execute format('create function %I.trap_%s(%s, %s) returns %s language plpgsql as %L', place, n, r.l, r.rt, r.res,
               format('begin perform %I.log_trap(%L); return $1 operator(pg_catalog.%s) $2; end', place, format('operator %s %s %s', r.l, r.oprname, r.rt), r.oprname));
             execute format('create operator %I.%s (function = %I.trap_%s, leftarg = %s, rightarg = %s)', place, r.oprname, place, n, r.l, r.rt);
           end if;
         exception when others then null;
         end;
       end loop;
       -- Forms that Postgres has only by way of a cast.
       for r in
         select l.t as l, x.t as rt, op.op from unnest('{smallint,integer,bigint,numeric,double precision,oid,xid,name,text,"char",regclass,regprocedure,regnamespace,unknown,timestamp with time zone,timestamp without time zone,interval,uuid,boolean,jsonb}'::text[]) l (t)
           cross join unnest('{smallint,integer,bigint,numeric,double precision,oid,xid,name,text,"char",regclass,regprocedure,regnamespace,unknown,timestamp with time zone,timestamp without time zone,interval,uuid,boolean,jsonb}'::text[]) x (t)
           cross join unnest('{=,<>,<,>,<=,>=,+,-,*,/,||}'::text[]) op (op)
          where (l.t <> x.t)
       loop
         n := n + 1;
         begin
           execute format('create function %I.trap_%s(%s, %s) returns %s language plpgsql as %L', place, n, r.l, r.rt,
             case when r.op in ('=', '<>', '<', '>', '<=', '>=') then 'boolean' when r.op = '||' then 'text' else 'numeric' end,
             format('begin perform %I.log_trap(%L); return %s; end', place, format('operator %s %s %s', r.l, r.op, r.rt),
               case when r.op = '||' then '$1::text operator(pg_catalog.||) $2::text' else format('$1::text::numeric operator(pg_catalog.%s) $2::text::numeric', r.op) end));
           execute format('create operator %I.%s (function = %I.trap_%s, leftarg = %s, rightarg = %s)', place, r.op, place, n, r.l, r.rt);
         exception when others then null;
         end;
       end loop;

       for r in
         select distinct p.proname, v.variant, p.prorettype::regtype::text as res, p.proretset, p.prokind,
                (select coalesce(array_agg(format_type(a, null) order by i), '{}') from unnest(p.proargtypes) with ordinality u (a, i)) as args
           from pg_proc p join words on words.w = p.proname cross join generate_series(0, 2) v (variant)
          where p.pronamespace = 'pg_catalog'::regnamespace and p.prorettype not in ('trigger'::regtype, 'internal'::regtype)
       loop
         n := n + 1;
         -- A polymorphic one is had as one of the types that it is used with, which fits better.
         fit := (select string_agg(
             case when r.variant = 0 or r.variant = 1 and a.poly = 'integer' then a.poly else coalesce(narrower ->> a.poly, a.poly) end, ', ' order by a.i)
           from (select i, case when t in ('anyarray', 'anycompatiblearray') then 'text[]' when t in ('anyelement', 'anycompatible', 'anynonarray', '"any"') then 'text' else t end as poly
                   from unnest(r.args) with ordinality u (t, i)) a);
         result := case when r.res in ('anyelement', 'anycompatible') then 'text' when r.res in ('anyarray', 'anycompatiblearray') then 'text[]' else r.res end;
         body := format('perform %I.log_trap(%L);', place, format('function %s(%s)', r.proname, fit));
         begin
           execute format('create function %I.%I(%s) returns %s%s language plpgsql as %L', place, r.proname, coalesce(fit, ''),
             case when r.proretset then 'setof ' else '' end, result,
             case
               when r.proretset then format('begin %s return; end', body)
               when r.prokind <> 'f' then format('begin %s return null; end', body)
               when result = 'void' then format('begin %s perform pg_catalog.%I(%s); end', body, r.proname, (select string_agg(format('$%s::%s', i, a), ', ' order by i) from unnest(r.args) with ordinality u (a, i)))
               when r.args && '{anyarray,anyelement,anycompatible,anycompatiblearray,anynonarray,"any"}' then format('begin %s return null; end', body)
               else format('begin %s return pg_catalog.%I(%s); end', body, r.proname, (select string_agg(format('$%s::%s', i, a), ', ' order by i) from unnest(r.args) with ordinality u (a, i)))
             end);
         exception when others then null;
         end;
       end loop;

       for r in select t.typname from pg_type t join words on words.w = t.typname where t.typnamespace = 'pg_catalog'::regnamespace and t.typtype = 'b' and t.typname <> 'unknown' loop
         begin
           execute format('create domain %I.%I as pg_catalog.%I check (%I.log_trap(%L))', place, r.typname, r.typname, place, 'type ' || r.typname);
         exception when others then null;
         end;
       end loop;
       for r in select c.relname from pg_class c join words on words.w = c.relname where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind in ('r', 'v') loop
         begin
           execute format('create view %I.%I as select * from pg_catalog.%I where %I.log_trap(%L)', place, r.relname, r.relname, place, 'relation ' || r.relname);
           execute format('grant select on %I.%I to public', place, r.relname);
         exception when others then null;
         end;
       end loop;
     end $do$;
     drop table words;
     select (select count(*)::int from pg_operator where oprnamespace = '${schema}'::regnamespace) as operators,
            (select count(distinct proname)::int from pg_proc where pronamespace = '${schema}'::regnamespace and proname not like 'trap%') as functions,
            (select count(*)::int from pg_type where typnamespace = '${schema}'::regnamespace and typtype = 'd') as types,
            (select count(*)::int from pg_class where relnamespace = '${schema}'::regnamespace and relkind = 'v') as relations`,
  );
  return { ...(counts.at(-1) as unknown as [Record<string, number>])[0] };
}

/** postgres.js's own question for the types of arrays, over whichever client asks it: its client's, not ours. */
const askedByTheDriver = /BY +select b\.oid, b\.typarray from pg_catalog\.pg_type a/;

/** What was sprung since, as the server's log tells: once each. */
export function sprung(log: string): string[] {
  const lines = log.match(/SPRUNG .*/g) ?? [];
  return [...new Set(lines.filter((line) => !askedByTheDriver.test(line)))];
}
