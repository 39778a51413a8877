// The README promises that what it shows works: its examples compile, those of docs/ too, the first one runs, its tables are complete.
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
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

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
const readme = await readFile(join(root, "README.md"), "utf8");
// The recipe for Nest needs Nest: test/libraries compiles and runs it.
const pages = [...(await readdir(join(root, "docs"))), ...(await readdir(join(root, "docs/guides"))).map(inGuides)];
const docs = await Promise.all(
  pages
    .filter((name) => name.endsWith(".md") && name !== "guides/nest.md")
    .map((file) => readFile(join(root, "docs", file), "utf8")),
);

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "leasehold-readme-"));
  const examples = [readme, ...docs]
    .flatMap((page) => blocks("ts", page))
    .map((text, index) => writeFile(join(folder, `example-${index}.ts`), `${text}\nexport {};\n`));
  await Promise.all(examples);
  await writeFile(join(folder, "surroundings.d.ts"), surroundings);
  await writeFile(join(folder, "tables.ts"), tables);
  // as a project of its own, which has this package and postgres.js
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  const compilerOptions = {
    paths: {
      leasehold: [join(root, "src/index.ts")],
      "npm:leasehold": [join(root, "src/index.ts")], // as Deno writes it
      "leasehold/drizzle": [join(root, "src/drizzle.ts")],
      "leasehold/otel": [join(root, "src/otel.ts")],
    },
    noUnusedLocals: false,
  };
  const settings = { extends: join(root, "tsconfig.json"), compilerOptions, include: ["*.ts"] };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(settings));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test("its examples compile", async () => {
  expect(blocks("ts").length).toBeGreaterThanOrEqual(5);
  const result = await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", folder]).catch(
    (error: { stdout: string }) => error,
  );
  expect(result.stdout).toBe("");
});

test("its first example runs, and its SQL", async () => {
  const database = await createDatabase();
  for (const text of blocks("sql")) await database.sql.unsafe(text);
  const env = { ...process.env, DATABASE_URL: database.url, TSX_TSCONFIG_PATH: join(folder, "tsconfig.json") };
  await run(process.execPath, ["--import", "tsx", join(folder, "example-0.ts")], { cwd: root, env });
  expect(await database.sql`select state from orders`).toEqual([{ state: "paid" }]);
});

test("its first example is of ten lines", () => {
  expect(blocks("ts")[0]?.match(/.+/g)).toHaveLength(10);
});

test("its options are all there are, with their defaults", () => {
  const rows = table("option");
  const { targets, ...defaults } = resolveLockerOptions({ url: "postgres://localhost/app" });
  expect(rows.map(({ name }) => name).sort()).toEqual(["url", "directUrl", ...Object.keys(defaults)].sort());
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
  const shown = table("class").map(({ name }) => name);
  expect(shown.sort()).toEqual(classes.map(([name]) => name).sort());
});

test("its methods are all there are", () => {
  const shown = [...table("method"), ...table("a lock's member")].flatMap(({ names }) => names);
  for (const { prototype } of [StoreLocker, HeldLock]) {
    const members = Object.getOwnPropertyNames(prototype).filter((name) => !["constructor", "toJSON"].includes(name));
    expect(shown).toEqual(expect.arrayContaining(members));
  }
});

function inGuides(name: string): string {
  return `guides/${name}`;
}

/** What stands in a page's blocks of code in this language. */
function blocks(language: string, page: string = readme): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "gms"))].map(([, text = ""]) => text);
}

interface Row {
  /** All that stands as code in the first column, up to a parenthesis. */
  readonly names: readonly string[];
  readonly name: string;
  readonly second: string;
}

/** The table whose first column has this heading. */
function table(heading: string): Row[] {
  const [, body = ""] = readme.split(`\n| ${heading} |`);
  const lines = body.split("\n").slice(2);
  return lines.slice(0, lines.indexOf("")).map((line) => {
    const [, first = "", second = ""] = line.split("|").map((cell) => cell.trim());
    const names = [...first.matchAll(/`(\w+)/g)].map(([, name = ""]) => name);
    return { names, name: names[0] ?? "", second };
  });
}
