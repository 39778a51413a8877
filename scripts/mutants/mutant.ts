/** One fault, put in on purpose. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  /**
   * What stands there, exactly once, and what comes in its place. More than one where a fault has two ends; `file` for an end that is
   * in another file.
   */
  readonly edits: readonly (readonly [find: string, replacement: string, file?: string])[];
  /** The files in which a test must fail, likeliest first. */
  readonly tests: readonly string[];
}

/** What breaks, where, how, and which test files must notice. */
export function one(name: string, file: string, edits: Mutant["edits"], ...tests: readonly string[]): Mutant {
  return { name, file, edits, tests };
}
