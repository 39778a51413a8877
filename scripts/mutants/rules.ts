// Rules of the protocol (docs/decisions) that no other list has a mutation for.
import type { Mutant } from "./mutant.js";

export const rules: readonly Mutant[] = [
  {
    name: "last word: none after an abort",
    file: "src/claim/claim.ts",
    edits: [["      await this.#abandonUntilAnswered();\n", ""]],
    tests: ["test/waiting/abort-steps.test.ts"],
  },
  {
    name: "last word: none where an attempt had no answer",
    file: "src/claim/claim.ts",
    edits: [["return this.#unanswered === 0 && this.#unresolvedUntil === null;", "return true;"]],
    tests: ["test/faults/hung.test.ts"],
  },
  {
    name: "grant: as durable as the role's default",
    file: "src/sql/common/_commit_durably.sql",
    edits: [["perform set_config('synchronous_commit', 'on', true);", "null;"]],
    tests: ["test/faults/restart.test.ts"],
  },
];
