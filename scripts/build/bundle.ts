import { type CodeSplittingGroup, type InputOptions, type OutputOptions, type Plugin, rolldown } from "rolldown";
import { dts } from "rolldown-plugin-dts";
import { entries, programs } from "./entries.js";

const sources = Object.fromEntries(entries.map((name) => [name, `src/${name}.ts`]));

/**
 * What several entries use is in a file of its own, so that it is loaded once and is in the package once. Without these groups there would be
 * one for each set of entries that share something: some twenty.
 */
const groups: CodeSplittingGroup[] = [
  { name: "base", test: /\/src\/(errors|runtime)\//, priority: 4 },
  { name: "library", test: isOfLibrary, minShareCount: 2, priority: 3 },
  { name: "queries", test: isOfQueries, minShareCount: 2, priority: 2 },
  { name: "inspector", test: isOfInspector, minShareCount: 2, priority: 1 },
  { name: "migrations", test: isOfMigrations, priority: 2 },
  { name: "configuration", test: isOfConfiguration, minShareCount: 2, priority: 2 },
  { name: "common", test: isOfCommands, minShareCount: 2, priority: 1 },
  { name: "tables", test: isOfTables, minShareCount: 2, priority: 0 },
];

/** The entries as CommonJS or as ES modules; with the latter the programs, which share the library with them. `dir` is in place of dist. */
export async function bundle(root: string, format: "esm" | "cjs", dir = `${root}/dist`): Promise<void> {
  const extension = format === "esm" ? "js" : "cjs";
  await write(
    { ...inputOptions(root), input: format === "esm" ? { ...sources, ...programs } : sources },
    {
      format,
      dir,
      entryFileNames: `[name].${extension}`,
      chunkFileNames: ({ name, moduleIds }) =>
        `${moduleIds.some(isOfCli) ? "cli" : "shared"}/${name.replace(".generated", "")}.${extension}`,
      codeSplitting: { groups },
      ...(format === "cjs" ? { exports: "named", esModule: true, strict: true } : {}),
    },
  );
}

function isOfLibrary(id: string): boolean {
  return (
    /\/src\/(?!cli\/|ui\/)[^/]+\//.test(id) && ![isOfMigrations, isOfConfiguration, isOfQueries].some((is) => is(id))
  );
}

/** Without the page itself, which is loaded when somebody asks for it. */
function isOfInspector(id: string): boolean {
  return id.includes("/src/ui/") && !id.endsWith("/page.generated.ts");
}

/** The inspector and the command line ask by it, and no locker does. */
function isOfQueries(id: string): boolean {
  return id.endsWith("/src/postgres/connection/queries.ts");
}

/** The entry and the command line use it, and nothing else should load it. */
function isOfConfiguration(id: string): boolean {
  return id.includes("/src/config-file/");
}

/** 250 KB of SQL, and what applies it: loaded by migrate() alone, when there is something to do. */
function isOfMigrations(id: string): boolean {
  return /\/schema\/(apply-migrations|migrations\.generated|restore-rows)\.ts$/.test(id);
}

/** Without what needs the migrations, or `leasehold --help` would load them. */
function isOfCommands(id: string): boolean {
  return isOfCli(id) && !id.endsWith("/migration-script.ts") && !isOfTables(id);
}

/** For the commands that print tables alone: what measures text for a terminal takes 0.03 s of a processor to load. */
function isOfTables(id: string): boolean {
  return /\/src\/cli\/(read-all|table|view|views|width)\.ts$/.test(id);
}

function isOfCli(id: string): boolean {
  return id.includes("/src/cli/");
}

/** The declarations of the entries: what their exports need, with their comments, without what is `@internal`. */
export async function bundleTypes(root: string, extension: "ts" | "cts"): Promise<void> {
  const plugin = dts({ emitDtsOnly: true, oxc: { stripInternal: true }, tsconfig: false });
  await write(
    { ...inputOptions(root), input: sources, plugins: [plugin, finishDeclarations] },
    {
      format: "esm",
      dir: `${root}/dist`,
      entryFileNames: `[name].${extension}`,
      chunkFileNames: `shared/[name].${extension}`,
    },
  );
}

const finishDeclarations: Plugin = {
  name: "finish-declarations",
  generateBundle(_, files) {
    for (const file of Object.values(files)) {
      if (file.type !== "chunk") continue;
      const code = file.code.replace(/^( *)(\*[ /\n])/gm, "$1 $2"); // doc comments come out of line
      file.code = needsNode.test(code) ? `/// <reference types="node" />\n${code}` : code;
    }
  },
};

/**
 * What Node's types declare, or those of a browser: a project that sets `types` or `lib` may have neither. Before 5.2 TypeScript has no
 * `AsyncDisposable`, but Node's types do.
 */
const needsNode = /\b(AbortSignal|AsyncDisposable|asyncDispose|Buffer|NodeJS|URL)\b/;

function inputOptions(root: string): InputOptions {
  return {
    cwd: root,
    platform: "node",
    // Packages are for npm to install. Ours are relative paths.
    external: /^[^./]/,
    transform: { target: "node20.19" },
    // How long a plug-in took is no fault of ours: on a busy machine it would fail the build.
    checks: { bundlerTimings: false },
  };
}

/** A warning is an error: an import that is not found, say, or a chunk that imports itself. */
async function write(input: InputOptions, output: OutputOptions): Promise<void> {
  const build = await rolldown({
    ...input,
    onwarn(warning) {
      throw new Error(warning.message);
    },
  });
  try {
    await build.write(output);
  } finally {
    await build.close();
  }
}
