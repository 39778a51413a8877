// npm run build:reference: writes what is made from the tables of the command line, its manual page and the reference in
// docs/reference/command-line.md. With --check it writes nothing, and fails where something is out of date.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { referenceFiles, root } from "./command-reference.js";

const files = [...(await referenceFiles())].map(([name, text]) => ({ name, path: join(root, name), text }));
const stale = files.filter(({ path, text }) => read(path) !== text);
if (!process.argv.includes("--check")) {
  for (const { path, text } of stale) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
} else if (stale.length > 0) {
  console.error(`out of date: ${stale.map(({ name }) => name).join(", ")}. Run: npm run build:reference`);
  process.exitCode = 1;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
