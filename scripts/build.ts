// npm run build: makes dist/ from src/, and writes what package.json says of the entries, and config.schema.json. The types are checked by `npm run typecheck`.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { configSchema } from "../src/config-file/config-schema.js";
import { bundle, bundleTypes } from "./build/bundle.js";
import { schemaFile, withEntries } from "./build/manifest.js";

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
rmSync(`${root}/dist`, { recursive: true, force: true });
await Promise.all([bundle(root, "esm"), bundle(root, "cjs"), bundleTypes(root, "ts"), bundleTypes(root, "cts")]);

write("package.json", withEntries(JSON.parse(readFileSync(`${root}/package.json`, "utf8"))));
write(schemaFile, configSchema());

/** These are committed: CI only finds out whether that was forgotten. */
function write(name: string, content: object): void {
  const file = `${root}/${name}`;
  const text = `${JSON.stringify(content, null, 2)}\n`;
  if (existsSync(file) && readFileSync(file, "utf8") === text) return;
  if (process.env.CI) throw new Error(`${name} is out of date: run npm run build, and commit it`);
  writeFileSync(file, text);
}
