import { entries } from "../../scripts/build/entries.js";
import { consumerWith, type Peer } from "./install.js";
import type { Check } from "./report.js";
import { run } from "./run.js";
import type { Workplace } from "./workplace.js";

/** What entries need that the library does not. */
const peers: Readonly<Record<string, { readonly peer: Peer; readonly name: string }>> = {
  drizzle: { peer: "drizzle", name: "drizzle-orm" },
  otel: { peer: "otel", name: "@opentelemetry/api" },
};

/** Loaded by Node, as ES modules and as CommonJS. */
export function loading(workplace: Workplace): readonly Check[] {
  const { consumer } = workplace;
  const node = (args: readonly string[], cwd: string) => run(process.execPath, args, cwd);
  return [
    { name: "import", run: () => workplace.use("import.mjs") },
    { name: "require", run: () => workplace.use("require.cjs") },
    { name: "a configuration, and its schema", run: () => workplace.use("config.mjs") },
    { name: "a process that forgets to close ends all the same", run: () => workplace.use("not-closed.mjs") },
    { name: "both in one process know each other's errors and lockers", run: () => workplace.use("both.mjs") },
    ...["import", "require"].map((how) => ({
      name: `${how} of the main entry loads postgres.js, and migrate() the migrations: nothing that only others need`,
      run: async () => {
        const env = { DATABASE_URL: await workplace.database() };
        const output = await run(process.execPath, ["loaded.mjs", how], consumer, env);
        const [byEntry = [], byMigrate = []]: readonly string[][] = JSON.parse(output);
        expectFiles(byEntry, [
          /leasehold\/dist\/(index|shared\/(base|library|rolldown-runtime))\.c?js$/,
          /node_modules\/postgres\//,
        ]);
        expectFiles(byMigrate, [/leasehold\/dist\/shared\/(upgrade|migrations)\.c?js$/]);
      },
    })),
    ...entries.map((name) => ({
      name: `src/${name}.ts has the same names by import and by require`,
      run: async () => {
        const cwd = await consumerWith(workplace, peers[name]?.peer ?? null);
        const entry = name === "index" ? "leasehold" : `leasehold/${name}`;
        const [imported, required] = JSON.parse(await node(["names.mjs", entry], cwd)) as readonly string[][];
        if (imported?.length === 0 || String(imported) !== String(required)) {
          throw new Error(`import has ${imported}, require ${required}`);
        }
      },
    })),
    ...Object.entries(peers).map(([entry, { name }]) => ({
      name: `leasehold/${entry} says that it needs ${name}`,
      run: async () => {
        const code = `await import("leasehold/${entry}")`;
        const refusal = await node(["--input-type=module", "-e", code], consumer).catch(String);
        if (!refusal.includes(`Cannot find package '${name}'`)) throw new Error(refusal);
      },
    })),
    {
      name: "leasehold/drizzle works with the drizzle-orm of this project",
      run: async () => {
        await workplace.use("drizzle.mjs", await consumerWith(workplace, "drizzle"));
      },
    },
    {
      name: "leasehold/drizzle works with the oldest drizzle-orm that it admits",
      run: async () => {
        await workplace.use("drizzle.mjs", await consumerWith(workplace, "oldestDrizzle"));
      },
    },
  ];
}

/** At least one for each pattern, and none besides. */
function expectFiles(files: readonly string[], patterns: readonly RegExp[]): void {
  const isComplete = patterns.every((pattern) => files.some((file) => pattern.test(file)));
  const isPure = files.every((file) => patterns.some((pattern) => pattern.test(file)));
  if (!isComplete || !isPure) throw new Error(`loaded ${files.join(", ")}`);
}
