// What package.json says, against what is so. The packed package is checked by `npm run check:package`.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { entries } from "../../scripts/build/entries.js";
import { withEntries } from "../../scripts/build/manifest.js";
import { importsOfPackages, sourceFiles } from "../structure/imports.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const manifest = JSON.parse(readFileSync(`${root}package.json`, "utf8"));

test("package.json says of the entries what scripts/build/entries.ts names (npm run build writes it)", () => {
  expect(manifest).toEqual(withEntries(manifest));
  expect(Object.keys(manifest.exports)).toHaveLength(entries.length + 2); // the schema of configurations, and package.json itself
});

test("the address of the repository is in package.json alone, so that it can be changed in one place", () => {
  const { homepage, bugs, repository } = manifest;
  const address = String(repository.url).replace(/^git\+|\.git$/g, "");
  expect({ homepage, bugs: bugs.url }).toEqual({ homepage: `${address}#readme`, bugs: `${address}/issues` });

  const places = ["src", "docs", "scripts", "examples", "bench", "test"].flatMap(filesIn);
  const pages = readdirSync(root).filter((name) => name.endsWith(".md"));
  const mentions = [...places, ...pages].filter((file) => /github\.com\/[\w-]+\/leasehold/.test(read(file)));
  expect(mentions).toEqual([]);
});

test("what the library and the command line import is what npm installs with them", () => {
  const optional = Object.keys(manifest.peerDependencies);
  const ofEntries = (file: string) => /^(drizzle|otel)(\.ts$|\/)/.test(file);
  const imported = (files: readonly string[]) => [...new Set(files.flatMap(importsOfPackages))].sort();
  // what drizzle-kit makes the tables from; nothing imports it
  // and the page of the inspector, which is bundled
  const isInstalled = (file: string) => file !== "postgres/schema/schema.ts" && !file.startsWith("ui/page/");
  const files = sourceFiles().filter(isInstalled);
  expect(imported(files.filter((file) => !ofEntries(file)))).toEqual(Object.keys(manifest.dependencies).sort());
  expect(imported(files.filter(ofEntries))).toEqual(optional.sort());
});

function filesIn(folder: string): readonly string[] {
  return readdirSync(`${root}${folder}`, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(ts|js|mjs|cjs|md|sql|json|py|svg)$/.test(name) && !name.includes("node_modules"))
    .map((name) => `${folder}/${name}`);
}

function read(file: string): string {
  return readFileSync(`${root}${file}`, "utf8");
}
