// The tables of docs/coming-from whose rows are tests: each row names one that is there, and each test is named by a row.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const pages = [
  ["module-with-drivers", "drivers-module"],
  ["redis-or-etcd-locker", "redis-etcd"],
  ["etcd-lock-with-jobs", "etcd-lock"],
  ["locking-atom", "locking-atom"],
  ["redis-lock-with-retries", "redis-lock"],
] as const;

/** The last cell of each row of the table. */
function named(page: string): string[] {
  const lines = page.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("|--"));
  return lines.slice(1).map(
    (line) =>
      line
        .split(/(?<!\\)\|/)
        .at(-2)
        ?.trim() ?? "",
  );
}

/** Names of tests, those of test.each with their cases filled in. */
function namesOf(text: string): string[] {
  const names = [...text.matchAll(/^test\("([^"]+)"/gm)].map(([, name = ""]) => name);
  const each = /test\.each\(\[\n(.*?)^\]\)\("([^"]*)%s"/ms.exec(text);
  const cases = each === null ? [] : [...(each[1] ?? "").matchAll(/^ {2}\["([^"]+)"/gm)].map(([, value = ""]) => value);
  return [...names, ...cases.map((value) => `${each?.[2]}${value}`)];
}

test.each(pages)("docs/coming-from/%s.md and test/parity/%s.test.ts say the same", (page, file) => {
  const rows = named(readFileSync(join(root, `docs/coming-from/${page}.md`), "utf8"));
  const tests = namesOf(readFileSync(join(root, `test/parity/${file}.test.ts`), "utf8"));
  expect(rows.length).toBeGreaterThan(8);
  expect(rows.filter((name) => !tests.includes(name))).toEqual([]);
  const ours = ["the same locks in Postgres"]; // of no row: what holds in memory holds there
  expect(tests.filter((name) => !rows.includes(name) && !ours.includes(name))).toEqual([]);
});
