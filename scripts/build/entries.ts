/**
 * What users may load: `index` as `leasehold`, each other one as `leasehold/<name>`. The source of each is `src/<name>.ts`. A new entry is one
 * line here; `npm run build` writes what package.json says of it.
 */
export const entries: readonly string[] = [
  "index", //
  "config",
  "drizzle",
  "otel",
  "store",
  "testing",
  "ui",
];

/** Programs: ES modules alone, without types. By their place in dist. */
export const programs: Readonly<Record<string, string>> = {
  cli: "src/cli.ts",
  // Started by the command line as a process of its own, which looks for it beside itself: see src/cli/embedded/use.ts.
  "cli/keeper": "src/cli/embedded/keeper.ts",
  // As a thread: see src/cli/run/observed-process.ts.
  "cli/spawning-thread": "src/cli/run/spawning-thread.ts",
};
