import type { Records } from "./records.js";
import type { Failure } from "./workshop.js";

/** Runs test files. Null: all passed; undefined: it did not end in time. */
export type Run = (files: readonly string[], patienceMs: number) => Promise<Failure | null | undefined>;

/** How long files may take with a fault: so many times as long as without, and so much more. */
const patience = { times: 5, moreMs: 60_000 };
const unknownPatienceMs = 600_000;

/** What test files do without a fault. One that fails then says nothing about a fault. */
export class Baselines {
  readonly #records: Records;
  /** In milliseconds; null: it fails. */
  readonly #durations = new Map<string, Promise<number | null>>();

  constructor(records: Records) {
    this.#records = records;
  }

  /** Those of the files that pass, and how long they may take with a fault. Each is measured by the first who asks. */
  async passing(run: Run, files: readonly string[]): Promise<{ files: readonly string[]; patienceMs: number }> {
    const passing: string[] = [];
    let usualMs = 0;
    for (const file of files) {
      const known = this.#durations.get(file) ?? this.#measure(run, file);
      this.#durations.set(file, known);
      const ms = await known;
      if (ms === null) continue;
      passing.push(file);
      usualMs += ms;
    }
    return { files: passing, patienceMs: usualMs * patience.times + patience.moreMs };
  }

  async #measure(run: Run, file: string): Promise<number | null> {
    const earlier = this.#records.passed(file);
    if (earlier !== undefined) return earlier.seconds * 1_000;
    let reason = "";
    // twice, for a test that fails once on a busy machine says nothing
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const start = performance.now();
      const failure = await run([file], unknownPatienceMs);
      if (failure === null) {
        const ms = performance.now() - start;
        this.#records.notePassed(file, Math.ceil(ms / 1_000));
        return ms;
      }
      reason = failure === undefined ? "late" : `${failure.test}: ${failure.message.split("\n")[0]}`;
    }
    console.log(`fails without any fault: ${file}: ${reason}`);
    return null;
  }
}
