// The sources as JavaScript, for the processes that tests start. With a loader for TypeScript each of them takes 0.4 s of a processor more
// to start, and a run starts some hundreds. Compiled once in a run, so that what is tested is what is written.
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { guard } from "./guardian.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
/** In the environment, so that the processes of vitest have it, too. */
const variable = "LEASEHOLD_TEST_COMPILED";

/** Compiles src and test into a temporary folder, which goes when this process ends in any way. Returns what removes it. */
export async function compileSources(): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "leasehold-compiled-"));
  const guardian = guard('rm -rf "$1"', folder);
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  await compileInto(folder);
  process.env[variable] = folder;
  return async () => {
    delete process.env[variable];
    await rm(folder, { recursive: true, force: true });
    guardian.release();
  };
}

/** Once more, because something was written: vitest watches. */
export async function compileAgain(): Promise<void> {
  await compileInto(compiled());
}

async function compileInto(folder: string): Promise<void> {
  const entryPoints: string[] = [];
  for (const name of ["src", "test"]) {
    for (const file of await readdir(join(root, name), { recursive: true })) {
      if (isSource(file)) entryPoints.push(join(root, name, file));
    }
  }
  await build({ entryPoints, outdir: folder, outbase: root, format: "esm", target: "node20", sourcemap: "inline" });
}

function isSource(file: string): boolean {
  return (
    file.endsWith(".ts") &&
    !file.endsWith(".test.ts") &&
    !/(^|[\\/])node_modules[\\/]|^(libraries|package)[\\/]/.test(file)
  );
}

/** What Node is to be given to run a file, a URL or a path from the project's root: compiled where that was done, by way of a loader elsewhere. */
export function nodeArguments(file: URL | string): readonly string[] {
  const path = file instanceof URL ? fileURLToPath(file) : resolve(root, file);
  const program = join(process.env[variable] ?? root, relative(root, path).replace(/\.ts$/, ".js"));
  return existsSync(program) ? ["--enable-source-maps", program] : ["--import", "tsx", path];
}

/** The command line as a user has it, but for the bundle: a program in JavaScript. */
export function cliProgram(): string {
  return join(compiled(), "src", "cli.js");
}

function compiled(): string {
  const folder = process.env[variable];
  if (folder === undefined) throw new Error("test/support/global-setup.ts has not run");
  return folder;
}
