// docs/rules.md: all that it names is there, and nothing of the models or of the decisions is missing from it. Pure reading: no Postgres.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { files as models, parseRows } from "../../scripts/model/rows.js";
import type { Mutant } from "../../scripts/mutants/mutant.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");

interface Rule {
  readonly decision: string;
  readonly text: string;
  readonly switches: readonly string[];
  readonly code: readonly string[];
  readonly tests: readonly string[];
  readonly mutations: readonly string[];
}

const named = (cell = ""): readonly string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
const table: readonly Rule[] = read("docs/rules.md")
  .split("\n")
  .filter((line) => line.startsWith("| ["))
  .map((line) => {
    const [, decision = "", text = "", switches, code, tests, mutations] = line.split(/ ?\| ?/);
    const path = /\(decisions\/(.+)\)/.exec(decision)?.[1] ?? "";
    const names = { switches: named(switches), code: named(code), tests: named(tests), mutations: named(mutations) };
    return { decision: path, text, ...names };
  });

/** `R_` and `H_` are switches wherever they stand in a model. */
const switchesOf = (file: string) => new Set(read(`model/${file}`).match(/\b[RH]_[A-Z0-9]+\b/g));
const inModels = Object.entries(models).flatMap(([letter, file]) =>
  [...switchesOf(file)].map((name) => `${letter}: ${name}`),
);
const inTable = table.flatMap(({ switches }) => switches);
const rows = parseRows(read("model/rows.txt"));

test("every model is a file, and every file a model", () => {
  expect(Object.values(models).sort()).toEqual(
    readdirSync(join(root, "model"))
      .filter((name) => name.endsWith(".pml"))
      .sort(),
  );
});

test("each rule has code, a test and a mutation", () => {
  expect(table.length).toBeGreaterThan(50);
  expect(
    table.filter(({ code, tests, mutations }) => [code, tests, mutations].some(({ length }) => length === 0)),
  ).toEqual([]);
});

test("every decision has a rule", () => {
  const decisions = readdirSync(join(root, "docs/decisions")).filter((name) => name !== "README.md");
  expect([...new Set(table.map(({ decision }) => decision))].sort()).toEqual(decisions.sort());
});

test("every switch of the models is in the table, and each that is in the table is in its model", () => {
  expect(inModels.length).toBeGreaterThan(100);
  expect(inModels.filter((name) => !inTable.includes(name))).toEqual([]);
  expect(inTable.filter((name) => !inModels.includes(name))).toEqual([]);
});

test("every switch has a row that leaves its rule out", () => {
  const checked = new Set(
    rows.flatMap(({ model, defines }) => defines.map((define) => `${model}: ${define.slice("-D".length)}`)),
  );
  expect(inModels.filter((name) => !checked.has(name))).toEqual([]);
});

test("files and functions that it names are there", () => {
  const missing = table
    .flatMap(({ code }) => code)
    .filter((name) => {
      const [path = "", member] = name.split(": ");
      if (!existsSync(join(root, path))) return true;
      const last = member?.split(".").at(-1);
      return last !== undefined && !new RegExp(`(?<!\\w)${last.replace("#", "#?")}(?!\\w)`).test(read(path));
    });
  expect(missing).toEqual([]);
  expect(table.flatMap(({ tests }) => tests).filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

test("mutations that it names are there, and each rule has one that a test beside it notices", async () => {
  const noticedBy = new Map<string, readonly string[]>();
  for (const file of readdirSync(join(root, "scripts/mutants"))) {
    const module: Record<string, unknown> = await import(`../../scripts/mutants/${file.slice(0, -".ts".length)}.ts`);
    for (const list of Object.values(module)) {
      if (Array.isArray(list)) for (const { name, tests } of list as readonly Mutant[]) noticedBy.set(name, tests);
    }
  }
  expect(table.flatMap(({ mutations }) => mutations).filter((name) => !noticedBy.has(name))).toEqual([]);
  const unnoticed = table.filter(
    ({ mutations, tests }) => !mutations.some((name) => noticedBy.get(name)?.some((test) => tests.includes(test))),
  );
  expect(
    unnoticed.map(({ text, mutations }) => [text, ...mutations.map((name) => noticedBy.get(name)?.join(" "))]),
  ).toEqual([]);
});

test("the tables of model/README.md have every row, with the result that is expected of it", () => {
  const results = [
    ...read("model/README.md").matchAll(
      /^\| (\w) \| (\S+) \| (none found|violated: [^|]+) \| (?!.*\d \|$).*(?:yes|error) \|$/gm,
    ),
  ];
  const told = results.map(([, model, name, result]) => `${model} ${name}: ${result?.replaceAll("`", "").trim()}`);
  const expected = rows.map(
    ({ model, name, expected: violated }) =>
      `${model} ${name}: ${violated === null ? "none found" : `violated: ${violated}`}`,
  );
  expect(told).toEqual(expected);
});
