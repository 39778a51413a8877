import { join } from "node:path";
import { entries } from "../../scripts/build/entries.js";

/** Where a compiler finds the entries of this package in its source: `paths` for a tsconfig. */
export function entryPaths(root: string): Record<string, string[]> {
  return Object.fromEntries(
    entries.map((name) => [name === "index" ? "leasehold" : `leasehold/${name}`, [join(root, `src/${name}.ts`)]]),
  );
}
