import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Check } from "./report.js";
import { run } from "./run.js";
import { root, type Workplace } from "./workplace.js";

/** The README's first example, as somebody pastes it who has nothing but a database and an empty folder. */
export function firstExample(workplace: Workplace): readonly Check[] {
  return [
    {
      name: "the README's first example runs as pasted, in an empty folder after npm init",
      run: async () => {
        const folder = join(workplace.folder, "pasted");
        await mkdir(folder);
        const readme = await readFile(join(root, "README.md"), "utf8");
        const [, example = ""] = /^```js\n([\s\S]*?)^```$/m.exec(readme) ?? [];
        const [, file = ""] = /with the example above as `([\w.]+)`/.exec(readme) ?? [];
        await writeFile(join(folder, file), example);
        await run("npm", ["init", "-y"], folder);
        await run("npm", ["install", "--prefer-offline", workplace.tarball, "postgres"], folder);
        const output = await run(process.execPath, [file], folder, { DATABASE_URL: await workplace.database() });
        if (!/^order 42 is paid, under fence \d+\n$/.test(output)) throw new Error(`wrote ${JSON.stringify(output)}`);
      },
    },
  ];
}
