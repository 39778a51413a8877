// npm run build: makes dist/ from src/, and writes what package.json says of the entries. The types are checked by `npm run typecheck`.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { configSchema } from "../src/config-file/schema.js";
import { bundle, bundleTypes } from "./build/bundle.js";
import { schemaFile, withEntries } from "./build/manifest.js";

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
rmSync(`${root}/dist`, { recursive: true, force: true });
await Promise.all([bundle(root, "esm"), bundle(root, "cjs"), bundleTypes(root, "ts"), bundleTypes(root, "cts")]);
writeFileSync(`${root}/${schemaFile}`, `${JSON.stringify(configSchema(), null, 2)}\n`);

const file = `${root}/package.json`;
const written = readFileSync(file, "utf8");
const manifest = `${JSON.stringify(withEntries(JSON.parse(written)), null, 2)}\n`;
if (manifest !== written && process.env.CI)
  throw new Error("package.json is out of date: run npm run build, and commit it");
if (manifest !== written) writeFileSync(file, manifest);
