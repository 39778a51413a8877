import { cp, readdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { consumerWith } from "./install.js";
import type { Check } from "./report.js";
import { run } from "./run.js";
import { root, type Workplace } from "./workplace.js";

const tsx = join(root, "node_modules/tsx/dist/loader.mjs");

/** The programs of examples/, in a project that has the package from its tarball: test/examples runs them with the sources. */
export function examples(workplace: Workplace): readonly Check[] {
  return [
    {
      name: "the examples run with the package",
      run: async () => {
        const folder = await consumerWith(workplace, "examples");
        await symlink(join(root, "node_modules/pg"), join(folder, "node_modules/pg"));
        const names = (await readdir(join(root, "examples"))).filter((name) => name.endsWith(".ts"));
        for (const name of names) {
          const file = name.replace(/\.ts$/, ".mts"); // the consumer's package.json has no `type`
          await cp(join(root, "examples", name), join(folder, file));
          const env = { DATABASE_URL: await workplace.database() };
          const output = await run(process.execPath, ["--import", tsx, file], folder, env);
          if (!/^ok: /m.test(output)) throw new Error(`${name} wrote ${output}`);
        }
        if (names.length === 0) throw new Error("there are none");
      },
    },
  ];
}
