// The guides as their readers have them: their blocks of code, and a project in which these are compiled and run.
import { readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { surroundings, tables } from "../readme-surroundings.js";
import { CliProcess } from "../support/cli.js";
import { compilePrograms, makeProject } from "../support/compiled.js";
import { entryPaths } from "../support/entry-paths.js";

export const root: string = fileURLToPath(new URL("../../", import.meta.url));

export interface Page {
  /** From the project's root. */
  readonly path: string;
  readonly text: string;
}

/** Those that another test compiles and runs. */
const others: ReadonlySet<string> = new Set(
  ["bun-and-deno", "guarded-writes", "inspector", "install", "nest", "next", "trust"].map(
    (name) => `docs/guides/${name}.md`,
  ),
);

export const pages: readonly Page[] = [...markdownIn("docs/guides"), ...markdownIn("docs/coming-from"), "docs/faq.md"]
  .filter((path) => !others.has(path))
  .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));

function markdownIn(folder: string): string[] {
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `${folder}/${name}`);
}

export interface Block {
  readonly page: string;
  readonly text: string;
}

/** All blocks of code in this language, or those of one page. */
export function blocks(language: string, path?: string): readonly Block[] {
  return pages
    .filter((page) => path === undefined || page.path === path)
    .flatMap((page) =>
      [...page.text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "gms"))].map(([, text = ""]) => ({
        page: page.path,
        text,
      })),
    );
}

/** A project that has this package and the libraries of ours, in a folder that is removed with the test file. */
export async function createProject(files: Readonly<Record<string, string>>): Promise<string> {
  const { folder, remove } = await makeProject("guides");
  afterAll(remove);
  const settings = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: { paths: entryPaths(root), noUnusedLocals: false },
    include: ["*.ts"],
  };
  const all = {
    ...files,
    "surroundings.d.ts": surroundings,
    "tables.ts": tables,
    "tsconfig.json": JSON.stringify(settings),
  };
  for (const [name, text] of Object.entries(all)) await writeFile(join(folder, name), text);
  return folder;
}

/** Starts the program whose block begins with `// name`, as a process of its own. */
export type StartProgram = (url: string, env?: Readonly<Record<string, string>>) => CliProcess;

export async function prepareProgram(name: string): Promise<StartProgram> {
  const found = blocks("ts").filter(({ text }) => text.startsWith(`// ${name}\n`));
  if (found.length !== 1) throw new Error(`expected one block that begins with // ${name}, there are ${found.length}`);
  const folder = await createProject({ [name]: found[0]?.text ?? "" });
  await compilePrograms([join(folder, name)], folder, join(folder, "tsconfig.json"));
  return (url, env = {}) => new CliProcess(join(folder, name.replace(/ts$/, "js")), [], { url, cwd: folder, env });
}
