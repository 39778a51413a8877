import { expect, test } from "vitest";
import { lint } from "../trust/lint.js";

test.each([
  ["select a * b from leasehold.leases l", "operator"],
  ["select 1 where $1::int = 2", "operator"],
  ["select 1 where x = any ($1)", "operator"],
  ["select 1 operator(public.=) 2", "operator"],
  ["select clock_timestamp()", "function"],
  ["select set_config('a', '1', true)", "function"],
  ["select public.now()", "function of a schema"],
  ["select $1::text", "type"],
  ["select $1::pg_catalog.text::uuid[]", "type"],
  ["select $1::bool", "type"],
  ["select $1::float8", "type"],
  ["select 'x'::regclass", "type"],
  ["select date '2020-01-01'", "literal"],
  ["select cast(1 as int)", "form"],
  ["select from pg_class", "relation"],
  ["select from leases", "relation"],
  ["select from pg_catalog.pg_class c join others o on true", "relation"],
  ["select from leasehold.leases l, pg_stat_activity a", "relation"],
  ["delete from leases", "relation"],
  ["select from leasehold.leases where key in ('a')", "form"],
  ["select 1 between 0 and 2", "form"],
  ["select nullif(1, 2)", "form"],
  ["select 1 is distinct from 2", "form"],
  ["select 1 is not distinct from 2", "form"],
  ["select case 1 when 2 then 3 end", "form"],
  ["select 'a' like 'b'", "form"],
  ["select 'a' similar to 'b'", "form"],
  ["select from leasehold.leases a join leasehold.waiters b using (key)", "form"],
  ["select from leasehold.leases a natural join leasehold.waiters b", "form"],
  ["select row (1, 2) operator(pg_catalog.=) row (1, 2)", "rows"],
  [`select l.key collate "C" from leasehold.leases l`, "collation"],
  ["set search_path = pg_catalog", "setting"],
  ["select pg_catalog.set_config('search_path', '', false)", "setting"],
])("the rules find what is wrong with %s", (text, what) => {
  expect(lint(text).join("\n")).toContain(what);
});

test.each([
  "select pg_catalog.clock_timestamp() operator(pg_catalog.-) l.expires_at from leasehold.leases l",
  "select l.key from leasehold.leases l where l.key operator(pg_catalog.=) any ($1::pg_catalog.text[]) order by l.key desc limit 1",
  "select (extract(epoch from pg_catalog.clock_timestamp()) operator(pg_catalog.*) 1000::numeric)::double precision as now",
  "with me as (select 1 as a), you as (select 2 as b) select me.a, you.b from me cross join you",
  "select item, * from leasehold_internal.acquire($1::int, $2::pg_catalog.uuid, $3::int[]), pg_catalog.set_config('a', '1', true)",
  "select pg_catalog.count(*) from leasehold.leases l where l.token is not null",
  "select case when $1::int operator(pg_catalog.=) 1 then 'a = b' else 'x like y' end -- in (comment)",
  "select interval '1 s', e'it''s in (x)'",
  "select own.id from (values (1)) as own (id)",
  "savepoint leasehold_guard; release savepoint leasehold_guard; select leasehold_internal.guard('a'::pg_catalog.text, 1::bigint)",
])("the rules find nothing wrong with %s", (text) => {
  expect(lint(text)).toEqual([]);
});
