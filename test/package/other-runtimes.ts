import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { useCommands, useEmbedded } from "./command-line.js";
import type { Check } from "./report.js";
import { matrix, type Workplace } from "./workplace.js";

interface Runtime {
  /** Comes before the file to run. `least`: with no more permissions than the guide names. */
  readonly file: readonly string[];
  readonly least: readonly string[];
  /** Runs the program of the installed package, as its users do. */
  readonly program: readonly string[];
}

/** What docs/guides/bun-and-deno.md names. */
const permissions = ["--no-prompt", "--allow-net=127.0.0.1", "--allow-env", "--allow-sys=hostname"];

const runtimes: Readonly<Record<"Bun" | "Deno", () => Runtime>> = {
  Bun: () => {
    const bun = programOf("@oven", "bin/bun");
    return { file: [bun], least: [bun], program: [bun, "x", "--bun", "--no-install", "leasehold"] };
  },
  Deno: () => {
    const deno = programOf("@deno", "deno");
    return {
      file: [deno, "run", "-A"],
      least: [deno, "run", ...permissions],
      program: [deno, "run", "-A", "npm:leasehold"],
    };
  },
};

/** The library and the command line in Bun and in Deno. */
export function otherRuntimes(workplace: Workplace): readonly Check[] {
  return Object.entries(runtimes).flatMap(([name, find]) => {
    const use = async (file: string, url: string) => workplace.useWith([...find().file, file], url);
    const cli = join(workplace.consumer, "node_modules/leasehold/dist/cli.js");
    return [
      {
        name: `${name}: import`,
        run: async () => workplace.useWith([...find().least, "import.mjs"], await workplace.database()),
      },
      { name: `${name}: require`, run: async () => use("require.cjs", await workplace.database()) },
      { name: `${name}: both in one process`, run: async () => use("both.mjs", await workplace.database()) },
      {
        name: `${name}: over TLS, with a certificate that is verified`,
        run: async () => use("import.mjs", await workplace.verifiedDatabase("ours")),
      },
      {
        name: `${name}: a certificate that is not trusted is refused, and named`,
        run: async () => use("untrusted.mjs", await workplace.verifiedDatabase("another")),
      },
      {
        name: `${name}: a process that forgets to close ends all the same`,
        run: async () => use("not-closed.mjs", await workplace.database()),
      },
      { name: `${name}: the command line`, run: () => useCommands(workplace, name, find().program) },
      { name: `${name}: the command line with --embedded`, run: () => useEmbedded([...find().file, cli]) },
    ];
  });
}

/**
 * In the package of this platform: the packages `bun` and `deno` bring a link to that, which a script makes, and npm runs no scripts here. Of
 * those that npm installed, one runs here: that with the right C library.
 */
function programOf(scope: string, path: string): string {
  const folder = join(matrix, "node_modules", scope);
  const found = readdirSync(folder).map((name) => join(folder, name, path));
  const [program] = found.filter((file) => existsSync(file));
  if (program === undefined) throw new Error(`there is no ${found.join(", nor ")}`);
  return program;
}
