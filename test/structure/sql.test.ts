// How src/sql is written. Pure reading: no Postgres.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const longest = 130;

const folder = new URL("../../src/sql/", import.meta.url);
const lines = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .map((name) => name.replaceAll("\\", "/"))
  .filter((name) => /\.(sql|txt)$/.test(name))
  .sort()
  .flatMap((name) => {
    const texts = readFileSync(new URL(name, folder), "utf8").split("\n");
    return texts.map((text, index) => ({ text, place: `${name}:${index + 1}: ${text.length}` }));
  });

test("the SQL is ASCII, or a database in another encoding could not read it", () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what ASCII is
  expect(lines.filter(({ text }) => /[^\u0000-\u007f]/.test(text)).map(({ place }) => place)).toEqual([]);
});

test(`no line of SQL has more than ${longest} columns, nor blanks at its end`, () => {
  expect(lines.length).toBeGreaterThan(1000);
  const bad = lines.filter(({ text }) => text.length > longest || /\s$/.test(text));
  expect(bad.map(({ place }) => place)).toEqual([]);
});

// It would be before a lock that the function waited for (rules 3 and 4).
test("no function takes the start of its transaction for the time", () => {
  const starts = /\b(?:now\(\)|current_timestamp|(?:transaction|statement)_timestamp\(\))/;
  const bad = lines.filter(({ text }) => starts.test(text.replace(/--.*/, "")));
  // how much of the transaction is left is counted from there
  expect(bad.map(({ text }) => text.trim())).toEqual([expect.stringContaining("'transaction_timeout'")]);
});

test("the numbers of advisory locks have names (scripts/sql-constants.ts)", () => {
  expect(lines.filter(({ text }) => /12794801\d\d/.test(text)).map(({ place }) => place)).toEqual([]);
});
