// Faults in the soak itself: a verdict that overlooks what grows.
import type { Mutant } from "./mutant.js";

const verdict = ["test/unit/soak/verdict.test.ts"];
const faults = ["test/unit/soak/faults.test.ts"];

export const soaking: readonly Mutant[] = [
  {
    name: "soak: the last part is compared with the whole run",
    file: "test/soak/parts.ts",
    edits: [["late: between(4, Number.POSITIVE_INFINITY)", "late: between(0, Number.POSITIVE_INFINITY)"]],
    tests: verdict,
  },
  {
    name: "soak: what warms up counts",
    file: "test/soak/parts.ts",
    edits: [["early: between(1, 2)", "early: between(0, 1)"]],
    tests: verdict,
  },
  {
    name: "soak: memory of the server over its restarts",
    file: "test/soak/theil-sen.ts",
    edits: [["a.stretch === b.stretch && ", ""]],
    tests: verdict,
  },
  {
    name: "soak: a machine that gets faster lowers the bound, and one that gets slower does not raise it",
    file: "test/soak/verdict.ts",
    edits: [["Math.max(1, machine)", "Math.min(1, machine)"]],
    tests: verdict,
  },
  {
    name: "soak: nothing counts on a busy machine",
    file: "test/soak/verdict.ts",
    edits: [["counts: !(figure.isOfMachine && isBusy)", "counts: !isBusy"]],
    tests: verdict,
  },
  {
    name: "soak: a long queue is taken for a leak",
    file: "test/soak/parts.ts",
    edits: [['how === "low" ? 0.1 : 0.5', "0.5"]],
    tests: verdict,
  },
  {
    name: "soak: any error will do",
    file: "test/soak/verdict.ts",
    edits: [["!expectedErrors.test(code)", "code === null"]],
    tests: verdict,
  },
  {
    name: "soak: only the end counts for what the load explains",
    file: "test/soak/verdict.ts",
    edits: [["largest(judged, of), bound)", "judged.at(-1) && of(judged.at(-1) as Sample), bound)"]],
    tests: verdict,
  },
  {
    name: "soak: a short run is judged",
    file: "test/soak/verdict.ts",
    edits: [["run.about.minutes >= SHORTEST_JUDGED_MINUTES", "true"]],
    tests: verdict,
  },
  {
    name: "soak: faults without a deck",
    file: "test/soak/faults.ts",
    edits: [["if (left.length === 0) left = shuffled(deck, random);", "left = shuffled(deck, random);"]],
    tests: faults,
  },
  {
    name: "soak: a fault that fails ends all",
    file: "test/soak/faults.ts",
    edits: [["await done.catch(() => note(", "await done;\n    void (() => note("]],
    tests: faults,
  },
];
