// The README promises that what it shows works, and so do the pages of docs/: examples compile, the first one runs, tables are complete.
import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { resolveLockerOptions } from "../src/config/resolve-options.js";
import { HeldLock } from "../src/hold/held-lock.js";
import * as leasehold from "../src/index.js";
import { StoreLocker } from "../src/locker/store-locker.js";
import { surroundings, tables } from "./readme-surroundings.js";
import { createDatabase } from "./support/database.js";
import { entryPaths } from "./support/entry-paths.js";
import { type Block, blocksOf, readPage, userPages } from "./support/pages.js";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
const readme = readPage("README.md");
/** They need packages that are not of this project: test/libraries compiles and runs them. */
const compiledElsewhere = ["docs/guides/nest.md", "docs/guides/inspector.md"];
const examples = userPages()
  .filter(({ path }) => !compiledElsewhere.includes(path))
  .flatMap(blocksOf)
  // In docs/coming-from/, js is the code of other libraries: test/guides parses it.
  .filter(({ language, page }) => language === "ts" || (language === "js" && !page.startsWith("docs/coming-from/")));
const [first] = blocksOf(readme).filter(({ language }) => language === "js");

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "leasehold-readme-"));
  for (const example of examples) {
    // the page of leasehold/drizzle has Drizzle's own `sql`, not postgres.js
    const before = example.page === "docs/api/drizzle.md" ? 'import { sql } from "drizzle-orm";\n' : "";
    await writeFile(join(folder, fileOf(example)), `${before}${example.text}\nexport {};\n`);
  }
  await writeFile(join(folder, "surroundings.d.ts"), surroundings);
  await writeFile(join(folder, "tables.ts"), tables);
  // as a project of its own, which has this package and postgres.js
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  const here = entryPaths(root);
  const compilerOptions = {
    paths: { ...here, "npm:leasehold": here.leasehold ?? [] }, // as Deno writes it
    allowJs: true,
    checkJs: true,
    noUnusedLocals: false,
  };
  const settings = { extends: join(root, "tsconfig.json"), compilerOptions, include: ["*.ts", "*.js", "*.cts"] };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(settings));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test("the examples of all pages compile", async () => {
  expect(examples.filter(({ page }) => page === "README.md").length).toBeGreaterThanOrEqual(2);
  expect(new Set(examples.map(({ page }) => page)).size).toBeGreaterThan(10);
  const result = await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", folder]).catch(
    (error: { stdout: string }) => error,
  );
  expect(result.stdout).toBe("");
});

test("the first example runs, twice", async () => {
  const database = await createDatabase();
  const env = { ...process.env, DATABASE_URL: database.url, TSX_TSCONFIG_PATH: join(folder, "tsconfig.json") };
  const program = [
    process.execPath,
    ["--import", "tsx", join(folder, first === undefined ? "" : fileOf(first))],
  ] as const;
  for (const time of ["first", "second"]) {
    const { stdout, stderr } = await run(program[0], [...program[1]], { cwd: root, env });
    expect(stdout, time).toMatch(/^order 42 is paid, under fence \d+\n$/);
    expect(stderr).toBe("");
  }
  expect(await database.sql`select state from orders`).toEqual([{ state: "paid" }]);
});

test("the first example is of eleven lines, and the README of two hundred at most", () => {
  expect(first?.text.match(/.+/g)?.length).toBeLessThanOrEqual(11);
  expect(readme.text.split("\n").length).toBeLessThanOrEqual(200);
});

test("its options are all there are, with their defaults", () => {
  const rows = table("docs/reference/options.md", "option");
  const { targets, instance, ...defaults } = resolveLockerOptions({ url: "postgres://localhost/app" });
  expect(rows.map(({ name }) => name).sort()).toEqual(
    ["url", "directUrl", "instances", "stores", ...Object.keys(defaults)].sort(),
  );
  const values = new Map<string, unknown>(Object.entries(defaults));
  for (const { name, second } of rows) {
    const value = values.get(name);
    if (typeof value === "boolean") expect(second, name).toBe(String(value));
    else if (value === Number.POSITIVE_INFINITY) expect(second, name).toBe("none");
    else if (typeof value === "number") expect(second, name).toBe(value.toLocaleString("en"));
    else if (name === "presence" || name === "reentry") expect(second).toBe(`\`"${value}"\``);
  }
});

test("its errors are all there are", () => {
  const classes = Object.entries(leasehold).filter(
    ([name, value]) => name.endsWith("Error") && value !== leasehold.LeaseholdError,
  );
  const shown = table("docs/reference/errors.md", "class").map(({ name }) => name);
  expect(shown.sort()).toEqual(classes.map(([name]) => name).sort());
});

test("its methods are all there are", () => {
  const page = "docs/reference/api.md";
  const shown = [...table(page, "method"), ...table(page, "a lock's member")].flatMap(({ names }) => names);
  for (const { prototype } of [StoreLocker, HeldLock]) {
    const members = Object.getOwnPropertyNames(prototype).filter((name) => !["constructor", "toJSON"].includes(name));
    expect(shown).toEqual(expect.arrayContaining(members));
  }
});

/** Named after its place, so that an error of the compiler says where to look. What requires is CommonJS. */
function fileOf({ page, line, language, text }: Block): string {
  const name = `${page.replaceAll("/", "-").replace(/\.md$/, "")}-${line}`;
  return `${name}.${/\brequire\(/.test(text) ? "cts" : language}`;
}

interface Row {
  /** All that stands as code in the first column, up to a parenthesis. */
  readonly names: readonly string[];
  readonly name: string;
  readonly second: string;
}

/** The table of a page whose first column has this heading. */
function table(page: string, heading: string): Row[] {
  const [, body = ""] = readPage(page).text.split(`\n| ${heading} |`);
  const lines = body.split("\n").slice(2);
  return lines.slice(0, lines.indexOf("")).map((line) => {
    const [, first = "", second = ""] = line.split("|").map((cell) => cell.trim());
    const names = [...first.matchAll(/`(\w+)/g)].map(([, name = ""]) => name);
    return { names, name: names[0] ?? "", second };
  });
}
