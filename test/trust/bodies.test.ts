// What of ours runs under its caller's search_path, as a procedure that commits must: its body is held to the rules for texts.
import { expect, test } from "vitest";
import { createDatabase, createRole } from "../support/database.js";
import { lint } from "./lint.js";

const database = await createDatabase();

/** Faults of a body in PL/pgSQL: the lint knows statements, so the rest is made to look like one, or looked at here. */
function faultsOf(body: string): string[] {
  const [, declared = "", code = ""] = /^\s*(?:declare\b([\s\S]*?))?\bbegin\b([\s\S]*)$/.exec(body) ?? [];
  const types = declared
    .split(";")
    .map((each) => each.trim().replace(/^\w+\s+/, ""))
    .filter((type) => type !== "" && !/^(boolean|integer|bigint|double precision|record|pg_catalog\.\w+)$/.test(type));
  const statements = code
    // variables are no relations
    .replace(/\binto\s+[\w, ]+?(?=\s*(?:;|\bfrom\b))/g, "")
    .replace(/\bperform\b/g, "select")
    .replace(/\b(loop|end loop|exit when|if|then|else|end if|commit|end)\b/g, ";$1");
  return [...types.map((type) => `a type without its schema: ${type}`), ...lint(statements)];
}

test("no procedure uses an operator, a cast or a name without its schema", async () => {
  const app = await createRole(database, { grantUsage: true });
  const bodies = await database.sql`
    select format('%s.%s', p.pronamespace::regnamespace, p.proname) as name, p.prosecdef as definer, p.prosrc as body
      from pg_proc p
     where p.pronamespace in ('leasehold'::regnamespace, 'leasehold_internal'::regnamespace)
       and has_function_privilege(${app.name}::text, p.oid, 'execute') and p.proconfig is null`;
  expect(bodies.map(({ name, definer }) => ({ name, definer }))).toEqual([
    { name: "leasehold.acquire", definer: false },
  ]);
  expect(bodies.flatMap(({ body }) => faultsOf(body))).toEqual([]);
});

test.each([
  ["begin if a < b then commit; end if; end", "operator"],
  ["begin a := b; end", "operator"],
  ["begin perform pg_sleep(1); end", "function"],
  ["begin select l.a into b from look(c) l; end", "function"],
  ["begin select a::text into b; end", "type"],
  ["begin exit when a in (b); end", "form"],
  ["declare a text; begin commit; end", "type"],
  ["declare a boolean; b leases; begin commit; end", "type"],
])("and this would be found: %s", (body, what) => {
  expect(faultsOf(body).join("\n")).toContain(what);
});
