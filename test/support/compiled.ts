// What tests start as processes, as JavaScript, each in a few files: with a loader for TypeScript a process takes 0.4 s of a processor more to start,
// with a file for each source 0.15 s, and a run starts some hundreds. Compiled once in a run, so that what is tested is what is written.
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build } from "esbuild";
import { bundle } from "../../scripts/build/bundle.js";
import { guard } from "./guardian.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
/** In the environment, so that the processes of vitest have it, too. */
const variable = "LEASEHOLD_TEST_COMPILED";

/**
 * Compiles into a temporary folder, which goes when this process ends in any way. Returns what removes it. Where that has been done, by this process
 * or the one that started it, nothing is done again.
 */
export async function compileSources(): Promise<() => Promise<void>> {
  if (process.env[variable] !== undefined) return async () => undefined;
  const { folder, remove } = await makeProject("compiled");
  await compileInto(folder);
  process.env[variable] = folder;
  return async () => {
    delete process.env[variable];
    await remove();
  };
}

/** A temporary folder with ES modules that find the packages of ours. It goes when this process ends in any way. */
export async function makeProject(name: string): Promise<{ readonly folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), `leasehold-${name}-`));
  const guardian = guard('rm -rf "$1"', folder);
  const remove = async () => {
    await rm(folder, { recursive: true, force: true });
    guardian.release();
  };
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  return { folder, remove };
}

/** Once more, because something was written: vitest watches. */
export async function compileAgain(): Promise<void> {
  await compileInto(compiled());
}

async function compileInto(folder: string): Promise<void> {
  await Promise.all([
    bundle(root.replace(/\/$/, ""), "esm", join(folder, "dist")),
    build({ ...bundled, entryPoints: await programs(), outdir: folder, outbase: root, sourcemap: "inline" }),
  ]);
}

const bundled = {
  bundle: true,
  splitting: true,
  packages: "external",
  ignoreAnnotations: true, // package.json says of src/ that its modules have no side effects: those of test/ have
  platform: "node",
  format: "esm",
  target: "node20",
} as const satisfies BuildOptions;

/** Compiles programs of users into `folder`, from which Node finds their packages. `tsconfig` says where this one is: in its sources. */
export async function compilePrograms(files: readonly string[], folder: string, tsconfig: string): Promise<void> {
  await build({ ...bundled, entryPoints: [...files], outdir: folder, tsconfig });
}

/** The sources of test/ that tests start: those that serve a test (worker.ts), or that read their arguments. */
async function programs(): Promise<string[]> {
  const files = (await readdir(join(root, "test"), { recursive: true }))
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .filter((file) => !/(^|[\\/])node_modules[\\/]|^(libraries|package)[\\/]/.test(file))
    .map((file) => join(root, "test", file));
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return files.filter((_, index) => /^serve[<(]|\bprocess\.argv\b/m.test(texts[index] ?? ""));
}

/** What Node is to be given to run a file, a URL or a path from the project's root: compiled where that was done, by way of a loader elsewhere. */
export function nodeArguments(file: URL | string): readonly string[] {
  const path = file instanceof URL ? fileURLToPath(file) : resolve(root, file);
  const program = join(process.env[variable] ?? root, relative(root, path).replace(/\.ts$/, ".js"));
  return existsSync(program) ? ["--enable-source-maps", program] : ["--import", "tsx", path];
}

/** The command line as a user has it. */
export function cliProgram(): string {
  return join(compiled(), "dist", "cli.js");
}

function compiled(): string {
  const folder = process.env[variable];
  if (folder === undefined) throw new Error("test/support/global-setup.ts has not run");
  return folder;
}
