import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import type { Check } from "./report.js";
import type { Workplace } from "./workplace.js";

/** Bundled by a user into one file that has nothing beside it: no node_modules, no folder of migrations. */
export function bundles(workplace: Workplace): readonly Check[] {
  return (["esm", "cjs"] as const).flatMap((format) =>
    ["import.mjs", "require.cjs"].map((entry) => ({
      name: `${entry} bundled by esbuild into one ${format} file, with migrate()`,
      run: async () => {
        const folder = join(workplace.folder, `bundled-${format}-${entry}`);
        const file = format === "esm" ? "bundle.mjs" : "bundle.cjs";
        await mkdir(folder);
        await build({
          absWorkingDir: workplace.consumer,
          entryPoints: [entry],
          outfile: join(folder, file),
          bundle: true,
          platform: "node",
          target: "node20",
          format,
          logLevel: "silent",
          // What is CommonJS in an ES module needs a `require`: esbuild leaves that to its user.
          ...(format === "esm" && entry === "require.cjs" ? { banner: { js: makeRequire } } : {}),
        });
        await workplace.use(file, folder);
      },
    })),
  );
}

const makeRequire = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";
