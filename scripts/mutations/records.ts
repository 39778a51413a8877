// What earlier runs found out: a file with one JSON object a line, appended to as results come, so that a run that is
// interrupted loses only what it had not finished. A line counts for as long as nothing changes that it depends on: the
// sources, the mutant, and the test files.
import { createHash } from "node:crypto";
import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Mutant } from "../mutants/mutant.js";

export interface Finding {
  /** Broken: what was to be a fault is a program that does not run. Unsure: its tests fail without it. */
  readonly outcome: "killed" | "SURVIVED" | "BROKEN" | "UNSURE" | "passed";
  /** The test that noticed, and how. */
  readonly by: string;
  readonly seconds: number;
}

interface Line extends Finding {
  /** The mutant's name; `passes: FILE` for a test file that passes without a fault. */
  readonly about: string;
  readonly key: string;
}

export class Records {
  readonly #root: string;
  readonly #path: string | undefined;
  readonly #sources: string;
  readonly #known: Map<string, Finding>;

  /** Without a path nothing is known, and nothing is kept. */
  constructor(root: string, path: string | undefined) {
    this.#root = root;
    this.#path = path;
    const sources = ["src", "migrations"].flatMap((folder) => filesBelow(root, folder));
    this.#sources = hash(sources.map((name) => [name, this.#read(name)]));
    this.#known = new Map(path === undefined ? [] : readLines(path).map(({ key, ...finding }) => [key, finding]));
  }

  finding(mutant: Mutant, tests: readonly string[]): Finding | undefined {
    return this.#known.get(this.#mutantKey(mutant, tests));
  }

  note(mutant: Mutant, tests: readonly string[], finding: Finding): void {
    this.#append({ about: mutant.name, key: this.#mutantKey(mutant, tests), ...finding });
  }

  /** Whether this test file passed without a fault. */
  passes(test: string): boolean {
    return this.#known.has(this.#testKey(test));
  }

  /** The same with how long it took. */
  passed(test: string): Finding | undefined {
    return this.#known.get(this.#testKey(test));
  }

  notePassed(test: string, seconds = 0): void {
    this.#append({ about: `passes: ${test}`, key: this.#testKey(test), outcome: "passed", by: "", seconds });
  }

  #append(line: Line): void {
    if (this.#path !== undefined) appendFileSync(this.#path, `${JSON.stringify(line)}\n`);
  }

  #mutantKey({ name, file, edits }: Mutant, tests: readonly string[]): string {
    return hash([this.#sources, name, file, edits, tests.map((test) => [test, this.#read(test)])]);
  }

  #testKey(test: string): string {
    return hash([this.#sources, test, this.#read(test)]);
  }

  #read(name: string): string {
    return readFileSync(join(this.#root, name), "utf8");
  }
}

function readLines(path: string): readonly Line[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

function filesBelow(root: string, folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

function hash(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
}
