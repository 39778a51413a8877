// The programs of examples/, each as a process of its own against a real Postgres: they end well, and not without their locks.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { CliProcess, type CliResult } from "../support/cli.js";
import { compilePrograms, makeProject } from "../support/compiled.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const names = readdirSync(join(root, "examples")).filter((name) => name.endsWith(".ts"));

const { folder, remove } = await makeProject("examples");
afterAll(remove);
const files = names.map((name) => join(root, "examples", name));
await compilePrograms(files, join(folder, "with locks"), join(root, "tsconfig.json"));
await compilePrograms(files, join(folder, "without locks"), join(root, "test/examples/without-locks.tsconfig.json"));

function run(
  name: string,
  how: "with locks" | "without locks",
  database: TestDatabase,
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  const program = join(folder, how, name.replace(/ts$/, "js"));
  return new CliProcess(program, [], { url: database.url, cwd: folder, env }).result;
}

/** Leases of keys in their minimum hold, sessions of processes that were killed: the examples make them. */
async function exampleDatabase(): Promise<TestDatabase> {
  const database = await createDatabase();
  expectLeft(database, "leases", "sessions", "waiters");
  return database;
}

test("there are the five", () => {
  expect(names.sort()).toEqual(["cron.ts", "drizzle.ts", "leader.ts", "payment.ts", "worker-pool.ts"]);
});

describe.each(names)("%s", (name) => {
  test("is short, and imports what a user would", () => {
    const text = readFileSync(join(root, "examples", name), "utf8");
    expect(text.trimEnd().split("\n").length).toBeLessThan(80);
    const imported = [...text.matchAll(/ from "([^"]+)";$/gm)].map(([, from]) => from);
    expect(imported).toContain("leasehold");
    expect(imported.filter((from) => from?.startsWith("."))).toEqual([]);
  });

  test("finds out when locks exclude nobody; with its locks it ends well, and leaves no table", async () => {
    const database = await exampleDatabase();
    const without = await run(name, "without locks", database);
    expect(without.stdout).toMatch(/^FAILED: /m);
    expect(without.code).toBe(1);

    const { code, stdout, stderr } = await run(name, "with locks", database);
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^ok: /m);
    expect(stdout).not.toContain("FAILED");
    const tables = await database.sql`select relname from pg_class where relname like 'example%'`;
    expect(tables).toEqual([]);
  });
});

test("cron.ts finds out when there is no minimum hold", async () => {
  const { code, stdout } = await run("cron.ts", "without locks", await exampleDatabase(), { BREAKS: "minimum hold" });
  expect(stdout).toMatch(/^FAILED: /m);
  expect(code).toBe(1);
});
