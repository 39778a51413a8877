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
