// One fault, put to the tests.
import type { Finding } from "./records.js";
import type { Failure } from "./workshop.js";

/** From when its time counts. */
export class Trial {
  readonly #start = performance.now();
  readonly #broken: RegExp | null;

  /** `broken`: the messages of failures that say that the fault is a program which does not run. */
  constructor(broken: RegExp | null = null) {
    this.#broken = broken;
  }

  finding(outcome: Finding["outcome"], by = ""): Finding {
    return { outcome, by: by.slice(0, 300), seconds: Math.round((performance.now() - this.#start) / 1_000) };
  }

  /** `failure` undefined: the files did not end in time. */
  noticed(failure: Failure | undefined, files: readonly string[]): Finding {
    if (failure === undefined) return this.finding("killed", `late: ${files.join(", ")}`);
    const { test, message } = failure;
    return this.finding(this.#broken?.test(message) ? "BROKEN" : "killed", `${test}: ${message.split("\n")[0]}`);
  }
}

/** The tests in parts of these sizes, and as many as that: the first are run by themselves, for most faults are noticed by them. */
export function* inParts(tests: readonly string[], sizes: readonly number[]): Iterable<readonly string[]> {
  let from = 0;
  for (const size of sizes) {
    const part = tests.slice(from, from + size);
    if (part.length > 0) yield part;
    from += size;
  }
}
