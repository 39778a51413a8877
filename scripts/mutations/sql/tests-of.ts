// Which test files could notice a fault in a file of src/sql: those of the mutations written by hand in it, then those of what calls it, then
// those that name it.
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Mutant } from "../../mutants/mutant.js";

const weights = { own: 10, caller: 3, named: 4 };

export class TestsOf {
  readonly #own = new Map<string, Map<string, number>>();
  readonly #texts: ReadonlyMap<string, string>;
  readonly #tests: ReadonlyMap<string, string>;

  readonly #only: readonly string[] | undefined;

  /** `only`: these, whatever the file. */
  constructor(root: string, mutants: readonly Mutant[], only?: readonly string[]) {
    this.#only = only;
    this.#texts = textsOf(root, "src/sql", /\.sql$/);
    this.#tests = new Map([...textsOf(root, "test", /\.test\.ts$/)].filter(([file]) => isOfServer(file)));
    for (const { file: usual, edits, tests } of mutants) {
      for (const file of new Set(edits.map(([, , file]) => file ?? usual))) {
        const counts = this.#own.get(file) ?? new Map<string, number>();
        for (const test of tests.filter(isOfServer)) counts.set(test, (counts.get(test) ?? 0) + 1);
        this.#own.set(file, counts);
      }
    }
  }

  /** The likeliest first, and with the others as many as `atMost`. */
  of(file: string, atMost: number): readonly string[] {
    if (this.#only !== undefined) return this.#only;
    const scores = new Map<string, number>();
    const add = (test: string, score: number) => scores.set(test, (scores.get(test) ?? 0) + score);
    let weight = weights.own;
    // three steps upwards: who calls it, and who calls that
    for (let files = [file], seen = new Set(files), step = 0; step < 4 && files.length > 0; step += 1) {
      for (const one of files) {
        for (const [test, count] of this.#own.get(one) ?? []) add(test, weight * Math.min(count, 4));
        for (const test of this.#naming(one)) add(test, (weight * weights.named) / weights.own);
      }
      weight = step === 0 ? weights.caller : weight / 2;
      files = files.flatMap((one) => this.#callers(one)).filter((one) => !seen.has(one) && seen.add(one));
    }
    // Neighbours of the likely ones, last: a folder is a promise.
    const folders = new Set([...scores.keys()].map(dirname));
    for (const test of this.#tests.keys()) if (folders.has(dirname(test))) add(test, 0.01);
    return [...scores]
      .sort(([, a], [, b]) => b - a)
      .slice(0, atMost)
      .map(([test]) => test);
  }

  /** Whether it also migrates databases by itself: those are not made from the template. */
  migrates(test: string): boolean {
    return /startCluster\(|createEmptyDatabase\(|[mM]igrate\w*\(/.test(this.#tests.get(test) ?? "");
  }

  #callers(file: string): readonly string[] {
    const name = basename(file, ".sql");
    const call = file.includes("/parts/") ? `:${name}\\b` : `leasehold(_internal)?\\.${name}\\b`;
    const pattern = new RegExp(call);
    return [...this.#texts].filter(([other, text]) => other !== file && pattern.test(text)).map(([other]) => other);
  }

  /** Tests that name a function or a view as SQL does. */
  #naming(file: string): readonly string[] {
    if (file.includes("/parts/")) return [];
    const pattern = new RegExp(`leasehold(_internal)?\\.${basename(file, ".sql")}\\b`);
    return [...this.#tests].filter(([, text]) => pattern.test(text)).map(([test]) => test);
  }
}

/** Those that have the shared server, and need neither packages of their own nor TLS. */
function isOfServer(test: string): boolean {
  return !/^test\/(unit|tls|libraries|package|support|structure|docs)\//.test(test);
}

function textsOf(root: string, folder: string, names: RegExp): ReadonlyMap<string, string> {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => names.test(name) && !name.includes("node_modules"))
    .map((name) => `${folder}/${name.replaceAll("\\", "/")}`);
  return new Map(files.map((file) => [file, readFileSync(join(root, file), "utf8")]));
}
