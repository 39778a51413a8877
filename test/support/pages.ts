// The pages that users read, and what stands on them.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root: string = fileURLToPath(new URL("../../", import.meta.url));

export interface Page {
  /** From the root of the project: `docs/faq.md`. */
  readonly path: string;
  readonly text: string;
}

/** The README, and all of docs/. */
export function userPages(): readonly Page[] {
  const docs = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" });
  return ["README.md", ...docs.filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`)]
    .sort()
    .map((path) => readPage(path));
}

export function readPage(path: string): Page {
  return { path, text: readFileSync(join(root, path), "utf8") };
}

export interface Block {
  readonly page: string;
  readonly line: number;
  readonly language: string;
  readonly text: string;
}

/** The blocks of code of a page, in order. */
export function blocksOf({ path, text }: Page): readonly Block[] {
  return [...text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(({ index, 1: language = "", 2: code = "" }) => ({
    page: path,
    line: text.slice(0, index).split("\n").length,
    language,
    text: code,
  }));
}

/** A page without what stands in blocks of code. */
export function proseOf({ text }: Page): string {
  return text.replaceAll(/^```.*\n[\s\S]*?^```$/gm, "");
}
