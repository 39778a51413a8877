// What a change of src/sql or of schema.ts does to a database stands in schema.snapshot.txt, for whoever reviews it. After such a
// change: npx vitest run --project=tcp test/migrate/schema.test.ts -u
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { withConstants } from "../../scripts/sql-constants.js";
import { withCounters } from "../../scripts/sql-counters.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { schemaText } from "./schema-text.js";

const folder = new URL("../../src/sql/", import.meta.url);
const sources = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .map((name) => name.replaceAll("\\", "/"))
  .filter((name) => name.endsWith(".sql"))
  .map((name) => ({ name, text: withCounters(withConstants(readFileSync(new URL(name, folder), "utf8"))) }));
let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

afterAll(() => database.drop());

test("a fresh database has the schema that the checked-in text tells", async () => {
  await expect(await schemaText(database.sql)).toMatchFileSnapshot("schema.snapshot.txt");
});

test("each function and each view stands in a file of its name, the function's body verbatim", async () => {
  const found = await database.sql<{ kind: string; schema: string; name: string; body: string | null }[]>`
    select case p.prokind when 'p' then 'procedure' else 'function' end as kind, n.nspname as schema, p.proname as name,
           -- one in plain SQL may have its body as a parsed query, which has no text of its own
           case when p.prosqlbody is null then p.prosrc end as body
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname in ('leasehold', 'leasehold_internal')
     union all
    select 'view', n.nspname, c.relname, null from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('leasehold', 'leasehold_internal') and c.relkind = 'v'`;
  expect(found.length).toBeGreaterThan(100);
  const problems = found.flatMap(({ kind, schema, name, body }) => {
    const what = `${kind} ${schema}.${name}`;
    const head = new RegExp(`^create (or replace )?${kind} ${schema}\\.${name}\\b`, "m");
    const files = sources.filter(({ text }) => head.test(text));
    const [file] = files;
    if (files.length !== 1 || file === undefined) {
      return [`${what} is made in ${files.map((each) => each.name).join(", ") || "no file"}`];
    }
    if (!file.name.endsWith(`/${name}.sql`)) return [`${what} is made in ${file.name}`];
    if (body !== null && !file.text.includes(`$$${body}$$`)) return [`the body of ${what} is not that of ${file.name}`];
    return [];
  });
  expect(problems).toEqual([]);
});
