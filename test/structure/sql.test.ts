// How src/sql is written. Pure reading: no Postgres.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const longest = 130;

/** Folders that still have longer lines, since somebody works in them. Take one off when it is reformatted. */
const notYet = ["common", "fences", "leases", "queue", "sessions"];

/** Folders in which they are still written as numbers. */
const unnamed: string[] = [];

const folder = new URL("../../src/sql/", import.meta.url);
const lines = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .map((name) => name.replaceAll("\\", "/"))
  .filter((name) => /\.(sql|txt)$/.test(name))
  .sort()
  .flatMap((name) => {
    const texts = readFileSync(new URL(name, folder), "utf8").split("\n");
    return texts.map((text, index) => ({
      text,
      place: `${name}:${index + 1}: ${text.length}`,
      folder: name.split("/")[0] ?? "",
    }));
  });

test("the SQL is ASCII, or a database in another encoding could not read it", () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what ASCII is
  expect(lines.filter(({ text }) => /[^\u0000-\u007f]/.test(text)).map(({ place }) => place)).toEqual([]);
});

test(`no line of SQL has more than ${longest} columns, nor blanks at its end`, () => {
  expect(lines.length).toBeGreaterThan(1000);
  const bad = lines.filter(
    ({ text, folder }) => (text.length > longest && !notYet.includes(folder)) || /\s$/.test(text),
  );
  expect(bad.map(({ place }) => place)).toEqual([]);
});

test("the numbers of advisory locks have names (scripts/sql-constants.ts)", () => {
  const found = lines.filter(({ text }) => /12794801\d\d/.test(text));
  expect(found.filter(({ folder }) => !unnamed.includes(folder)).map(({ place }) => place)).toEqual([]);
  expect(unnamed.filter((name) => !found.some(({ folder }) => folder === name))).toEqual([]);
});

test("a folder whose lines are all short is not excused any longer", () => {
  const long = new Set(lines.filter(({ text }) => text.length > longest).map(({ folder }) => folder));
  expect(notYet.filter((folder) => !long.has(folder))).toEqual([]);
});
