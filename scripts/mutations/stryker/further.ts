// What the unit tests did not notice is put to the tests that need a server: those of the mutations by hand in the same source, then those of
// its folder.
import { dirname } from "node:path";
import type { Mutant } from "../../mutants/mutant.js";
import type { Baselines } from "../baselines.js";
import type { Place } from "../lanes.js";
import type { Finding, Records } from "../records.js";
import { inParts, Trial } from "../trial.js";
import { isForLane } from "../workshop.js";
import type { Survivor } from "./report.js";

/** How many test files are run together. */
const parts = [2, 4];
const atMost = 6;

/** Test files that could notice a fault in this source, the likeliest first. */
export function furtherTests(file: string, mutants: readonly Mutant[]): readonly string[] {
  const scores = new Map<string, number>();
  for (const { file: usual, edits, tests } of mutants) {
    const files = edits.map(([, , other]) => other ?? usual);
    const score = files.includes(file) ? 10 : files.some((one) => dirname(one) === dirname(file)) ? 1 : 0;
    if (score === 0) continue;
    for (const test of tests) {
      if (isForLane(test) && !/^test\/(unit|package)\//.test(test)) scores.set(test, (scores.get(test) ?? 0) + score);
    }
  }
  return [...scores]
    .sort(([, a], [, b]) => b - a)
    .slice(0, atMost)
    .map(([test]) => test);
}

export class FurtherTests {
  readonly #mutants: readonly Mutant[];
  readonly #records: Records;
  readonly #baselines: Baselines;

  constructor(mutants: readonly Mutant[], records: Records, baselines: Baselines) {
    this.#mutants = mutants;
    this.#records = records;
    this.#baselines = baselines;
  }

  /** What is known of it from an earlier run. */
  known(survivor: Survivor): Finding | undefined {
    return this.#records.finding(asMutant(survivor), furtherTests(survivor.file, this.#mutants));
  }

  async judge(place: Place, survivor: Survivor): Promise<Finding> {
    const tests = furtherTests(survivor.file, this.#mutants);
    const finding = await this.#try(place, survivor, tests);
    this.#records.note(asMutant(survivor), tests, finding);
    return finding;
  }

  async #try({ lane, workshop }: Place, survivor: Survivor, tests: readonly string[]): Promise<Finding> {
    const trial = new Trial();
    const run = (files: readonly string[], ms: number) => lane.run(files, ms);
    for (const next of inParts(tests, parts)) {
      const { files, patienceMs } = await this.#baselines.passing(run, next);
      if (files.length === 0) continue;
      const fault = await workshop.replace(survivor.file, survivor.text);
      const failure = await lane.run(files, patienceMs, [survivor.file]);
      await fault.takeOut();
      lane.note([survivor.file]);
      if (failure !== null) return trial.noticed(failure, files);
    }
    return trial.finding("SURVIVED");
  }
}

/** As the records know it. */
function asMutant({ id, file, text }: Survivor): Mutant {
  return { name: id, file, edits: [["", text]], tests: [] };
}
