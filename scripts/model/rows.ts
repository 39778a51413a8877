// model/rows.txt: what is checked, and what must come out.

/** One check of a model. */
export interface Row {
  /** The letter of the model. */
  readonly model: string;
  /** `bfs` finds the shortest counterexample of an assertion; `dfs` looks for any; else the name of an LTL claim. */
  readonly search: string;
  /** Whether it belongs to the quick run. */
  readonly isShort: boolean;
  readonly name: string;
  /** What must be violated: the words beside the assertion, or the name of the claim. Null: nothing is found. */
  readonly expected: string | null;
  readonly defines: readonly string[];
}

/** The files of the models, by their letters. */
export const files: Readonly<Record<string, string>> = {
  A: "ownership.pml",
  B: "waiting.pml",
  C: "shares.pml",
  D: "shares-waiting.pml",
  E: "sets.pml",
  F: "hand-over.pml",
  G: "busy.pml",
};

const rowLine = /^(\w) (\w+) (short|long) (\S+) \| (.+?) \|(.*)$/;

/** @throws when a line is neither a row, nor a variable, nor a comment */
export function parseRows(text: string): readonly Row[] {
  const variables = new Map<string, string>();
  const rows: Row[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line === "" || line.startsWith("#")) continue;
    const [, variable, value] = /^(\$\w+) = (.+)$/.exec(line) ?? [];
    if (variable !== undefined && value !== undefined) {
      variables.set(variable, value);
      continue;
    }
    const [, model = "", search = "", lane, name = "", expected = "", defines = ""] = rowLine.exec(line) ?? [];
    if (!(model in files))
      throw new Error(`model/rows.txt, line ${index + 1}: expected "model search short|long name | result | defines"`);
    const words = defines.split(/\s+/).flatMap((word) => (variables.get(word) ?? word).split(" "));
    rows.push({
      model,
      search,
      isShort: lane === "short",
      name,
      expected: expected === "none" ? null : expected,
      defines: words.filter((word) => word !== ""),
    });
  }
  return rows;
}

/** What a search has found. */
export interface Finding {
  /** As in `Row.expected`. */
  readonly violated: string | null;
  /** Of the counterexample; of a cycle up to its end. */
  readonly steps: number | null;
  readonly states: string;
  readonly cpuSeconds: string;
  readonly megabytes: string;
  /** Whether everything was searched, or an error was found. */
  readonly isComplete: boolean;
}

/** What is wrong with it; null: it is as expected. */
export function differenceFrom(row: Row, found: Finding): string | null {
  if (found.violated === null && !found.isComplete) {
    return "the search was not completed: it ran out of time, memory or depth";
  }
  if (found.violated === row.expected) return null;
  return `expected ${told(row.expected)}, found ${told(found.violated)}`;
}

export function told(violated: string | null): string {
  return violated === null ? "no violation" : `violated: ${violated}`;
}

/** As a line of the table in model/README.md. */
export function tableLine({ model, search, name }: Row, found: Finding): string {
  const isCycle = found.violated === search;
  const result = found.violated === null ? "none found" : `violated: ${isCycle ? `\`${search}\`` : found.violated}`;
  const steps = found.steps === null ? "" : `${isCycle ? "cycle, " : ""}${found.steps}`;
  const complete = found.violated !== null ? "stopped at the error" : found.isComplete ? "yes" : "INCOMPLETE";
  return `| ${model} | ${name} | ${result} | ${steps} | ${found.states} | ${found.cpuSeconds} s | ${found.megabytes} MB | ${complete} |`;
}
