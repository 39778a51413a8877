// npm run build:api-docs: the pages of docs/api, from the doc comments. With --check it writes nothing, and fails where a page is out of date.
// TypeDoc needs a TypeScript with an API, which the one of this project has not: both are in api-docs/node_modules, installed when missing.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const tools = fileURLToPath(new URL("api-docs/", import.meta.url));
const pages = fileURLToPath(new URL("../docs/api/", import.meta.url));
const entry = fileURLToPath(new URL("../src/index.ts", import.meta.url));

install();
const unlisted = missingFromPages();
if (unlisted.length > 0)
  fail(`scripts/api-docs/pages names none of these exports of src/index.ts: ${unlisted.join(", ")}`);
if (process.argv.includes("--check")) check();
else build(pages);

/** Skipped where it is there already: npm writes what it has installed. */
function install(): void {
  const wanted = readFileSync(join(tools, "package-lock.json"), "utf8");
  const marker = join(tools, "node_modules", ".installed-lock.json");
  if (read(marker) === wanted) return;
  execFileSync("npm", ["ci", "--prefer-offline", "--ignore-scripts"], { cwd: tools, stdio: "inherit" });
  writeFileSync(marker, wanted);
}

/** An export that is on no page would have no documentation. */
function missingFromPages(): readonly string[] {
  const folder = join(tools, "pages");
  const listed = readdirSync(folder).flatMap((file) => exportsOf(join(folder, file)));
  return exportsOf(entry).filter((name) => !listed.includes(name));
}

/** The names in `export { a, type B }` and `export type { C }`, and those of the files in `export *`. */
function exportsOf(file: string): readonly string[] {
  const text = readFileSync(file, "utf8");
  const others = [...text.matchAll(/^export \* from "([^"]+)\.js";/gm)];
  const lists = text.matchAll(/^export (?:type )?\{([^}]*)\}/gm);
  const named = [...lists].flatMap(([, list = ""]) =>
    list
      .split(",")
      .map((name) => name.trim().replace(/^type /, ""))
      .filter(Boolean),
  );
  return [...named, ...others.flatMap(([, path]) => exportsOf(join(dirname(file), `${path}.ts`)))];
}

function build(out: string): void {
  const typedoc = join(tools, "node_modules/typedoc/bin/typedoc");
  const args = [typedoc, "--options", "typedoc.json", "--out", out];
  const { status } = spawnSync(process.execPath, args, { cwd: tools, stdio: "inherit" });
  if (status !== 0) fail("TypeDoc does not accept the doc comments.");
}

function check(): void {
  const fresh = mkdtempSync(join(tmpdir(), "leasehold-api-docs-"));
  try {
    build(fresh);
    if (process.exitCode !== undefined) return;
    const names = new Set([...readdirSync(fresh), ...readdirSync(pages)]);
    const stale = [...names].filter((name) => read(join(fresh, name)) !== read(join(pages, name)));
    if (stale.length > 0) fail(`docs/api is out of date (${stale.join(", ")}): npm run build:api-docs`);
  } finally {
    rmSync(fresh, { recursive: true });
  }
}

function read(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

function fail(message: string): void {
  console.error(message);
  process.exitCode = 1;
}
