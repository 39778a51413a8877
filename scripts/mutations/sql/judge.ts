// Whether the tests notice a fault in SQL. The fault goes into the template of a lane, out of which each test file makes its databases: nothing
// is built, migrated or started for it. What survives that is built into the migrations, for the test files that migrate databases by themselves.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Baselines } from "../baselines.js";
import type { Lane, Place } from "../lanes.js";
import type { Finding } from "../records.js";
import { inParts, Trial } from "../trial.js";
import { replacing, runInTemplate } from "./database.js";
import type { GeneratedMutant } from "./generate.js";
import type { TestsOf } from "./tests-of.js";

/** How many test files are run together. */
const parts = [1, 2, 4];
const atMost = 7;
/** Of a statement that Postgres refuses when it is run. */
const broken = /syntax error|does not exist|is ambiguous|must appear in the GROUP BY|cannot cast/;

export class Judge {
  readonly #root: string;
  readonly #tests: TestsOf;
  readonly #baselines: Baselines;

  constructor(root: string, tests: TestsOf, baselines: Baselines) {
    this.#root = root;
    this.#tests = tests;
    this.#baselines = baselines;
  }

  async judge({ lane, workshop }: Place, mutant: GeneratedMutant): Promise<Finding> {
    const trial = new Trial(broken);
    const candidates = this.#tests.of(mutant.file, atMost);
    let hasRun = false;
    for (const next of inParts(candidates, parts)) {
      const { files, patienceMs } = await this.#baselines.passing((tests, ms) => lane.run(tests, ms), next);
      if (files.length === 0) continue;
      const refusal = await this.#put(lane, mutant, "faulty", files[0] ?? "");
      if (refusal !== null) return trial.finding("BROKEN", `refused: ${refusal}`);
      hasRun = true;
      const failure = await lane.run(files, patienceMs);
      if (failure !== undefined) await this.#put(lane, mutant, "sound", files[0] ?? ""); // else its process is gone
      if (failure !== null) return trial.noticed(failure, files);
    }
    const migrating = candidates.filter((test) => this.#tests.migrates(test));
    const { files, patienceMs } = await this.#baselines.passing((tests, ms) => lane.run(tests, ms), migrating);
    if (files.length > 0) {
      await lane.stop();
      const fault = await workshop.replace(mutant.file, mutant.text);
      const failure = await lane.run(files, patienceMs);
      await lane.stop();
      await fault.takeOut();
      if (failure !== null) return trial.noticed(failure, files);
    }
    return hasRun
      ? trial.finding("SURVIVED")
      : trial.finding("UNSURE", "no test file that could notice it passes without it");
  }

  /** Why Postgres refuses it; null: it does not. */
  async #put(
    lane: Lane,
    { file, text }: GeneratedMutant,
    which: "faulty" | "sound",
    anyTest: string,
  ): Promise<string | null> {
    // a new process has made no template yet
    if (lane.server === undefined) await lane.run([anyTest], 600_000);
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
