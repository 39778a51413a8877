// Whether the tests notice a fault in SQL. The fault goes into the template of a lane, out of which each test file makes its databases: nothing
// is built, migrated or started for it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Lane } from "../lanes.js";
import type { Finding, Records } from "../records.js";
import { replacing, runInTemplate } from "./database.js";
import type { GeneratedMutant } from "./generate.js";
import type { TestsOf } from "./tests-of.js";

/** The first are run by themselves, for most faults are noticed by them; then the next, then the rest. */
const steps = [1, 2, 3, 8];
/** How long a file may take: so many times as long as without a fault, and so much more. */
const patience = { times: 5, moreMs: 60_000 };
const unknownPatienceMs = 600_000;

export class Judge {
  readonly #root: string;
  readonly #tests: TestsOf;
  readonly #records: Records;
  /** How long a file takes without a fault; null: it fails. */
  readonly #durations = new Map<string, Promise<number | null>>();

  constructor(root: string, tests: TestsOf, records: Records) {
    this.#root = root;
    this.#tests = tests;
    this.#records = records;
  }

  async judge(lane: Lane, mutant: GeneratedMutant): Promise<Finding> {
    const start = performance.now();
    const result = (outcome: Finding["outcome"], by: string): Finding => {
      return { outcome, by: by.slice(0, 300), seconds: Math.round((performance.now() - start) / 1_000) };
    };
    const candidates = this.#tests.of(
      mutant.file,
      steps.reduce((sum, step) => sum + step),
    );
    let hasRun = false;
    for (let from = 0, step = 0; from < candidates.length; from += steps[step] ?? 1, step += 1) {
      const files: string[] = [];
      let usualMs = 0;
      for (const file of candidates.slice(from, from + (steps[step] ?? 1))) {
        const ms = await this.#duration(lane, file);
        if (ms === null) continue; // it says nothing
        files.push(file);
        usualMs += ms;
      }
      if (files.length === 0) continue;
      const refusal = await this.#put(lane, mutant, "faulty", files[0] ?? "");
      if (refusal !== null) return result("BROKEN", `refused: ${refusal}`);
      hasRun = true;
      const failure = await lane.run(files, usualMs * patience.times + patience.moreMs);
      if (failure === undefined) return result("killed", `late: ${files.join(", ")}`);
      await this.#put(lane, mutant, "sound", files[0] ?? "");
      if (failure === null) continue;
      const isBroken = /syntax error|does not exist|is ambiguous|must appear in the GROUP BY|cannot cast/.test(
        failure.message,
      );
      return result(isBroken ? "BROKEN" : "killed", `${failure.test}: ${failure.message.split("\n")[0]}`);
    }
    return hasRun ? result("SURVIVED", "") : result("UNSURE", "no test file that could notice it passes without it");
  }

  /** Measured by the first who asks. */
  #duration(lane: Lane, file: string): Promise<number | null> {
    const known = this.#durations.get(file) ?? this.#measure(lane, file);
    this.#durations.set(file, known);
    return known;
  }

  async #measure(lane: Lane, file: string): Promise<number | null> {
    const earlier = this.#records.passed(file);
    if (earlier !== undefined) return earlier.seconds * 1_000;
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const start = performance.now();
      if ((await lane.run([file], unknownPatienceMs)) === null) {
        const ms = performance.now() - start;
        this.#records.notePassed(file, Math.ceil(ms / 1_000));
        return ms;
      }
    }
    console.log(`fails without any fault: ${file}`);
    return null;
  }

  /** Why Postgres refuses it; null: it does not. */
  async #put(
    lane: Lane,
    { file, text }: GeneratedMutant,
    which: "faulty" | "sound",
    anyTest: string,
  ): Promise<string | null> {
    // a new process has made no template yet
    if (lane.server === undefined) await lane.run([anyTest], unknownPatienceMs);
    if (lane.server === undefined) throw new Error("a process of tests ended without a reason");
    try {
      await runInTemplate(
        lane.server,
        replacing(which === "faulty" ? text : readFileSync(join(this.#root, file), "utf8")),
      );
      return null;
    } catch (error) {
      if (which === "sound") throw error;
      return (error as Error).message;
    }
  }
}
