// docs/reference/sql-api.md names every public function, with its arguments, and every SQLSTATE of the library's own.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { readPage } from "../support/pages.js";

const { text } = readPage("docs/reference/sql-api.md");
const sources = fileURLToPath(new URL("../../src/sql/", import.meta.url));

test("the table of functions has those of the schema, each with its arguments", async () => {
  const { sql } = await createDatabase();
  const functions = await sql`
    select p.proname as name, to_json(p.proargnames[1:p.pronargs]) as arguments, p.pronargs - p.pronargdefaults as required
      from pg_proc p
     where p.pronamespace = 'leasehold'::regnamespace and p.prorettype <> 'trigger'::regtype`;
  expect(functions.length).toBeGreaterThan(10);
  const calls = functions.map(({ name, arguments: given, required }) => {
    const names = (given as readonly string[] | null) ?? [];
    return `${name}(${names.map((one, index) => (index < required ? one : `${one}?`)).join(", ")})`;
  });
  expect(documentedCalls().sort()).toEqual(calls.sort());
});

/** Those in the first column, as `renew(key, token, ttl?, session?)`. */
function documentedCalls(): string[] {
  const [, table = ""] = /^\| function \| what it does \|\n\|---\|---\|\n((?:\|.*\n)+)/m.exec(text) ?? [];
  const cells = table.split("\n").map((row) => row.split(" | ")[0] ?? "");
  return cells.flatMap((cell) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, call = ""]) => call.replaceAll(/ default ('[^']*'|\w+)/g, "?")),
  );
}

test("the table of errors has those SQLSTATEs that the SQL raises", () => {
  const files = readdirSync(sources, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".sql"));
  const raised = files.flatMap((name) => codesIn(readFileSync(`${sources}${name}`, "utf8"), /'(LH\d{3})'/g));
  expect(raised.length).toBeGreaterThan(10);
  expect(codesIn(text, /^\| (LH\d{3}) \|/gm)).toEqual([...new Set(raised)].sort());
});

function codesIn(from: string, pattern: RegExp): string[] {
  return [...from.matchAll(pattern)].map(([, code = ""]) => code);
}
