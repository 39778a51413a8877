import { writeNote } from "./output.js";
import type { Filter } from "./view.js";

/** An argument that names one key, the beginning of some, or a pattern for them. */
export interface Pattern {
  /** Whether it contains `*` or `?`. */
  readonly isPattern: boolean;
  /** Without a pattern: the text itself. With one: as the operator `like` of SQL reads it. */
  readonly text: string;
}

/** `*` stands for any text, `?` for one character; behind a backslash they are themselves, and so is a backslash. */
export function readPattern(argument: string): Pattern {
  const parts = [...argument.matchAll(/\\([*?\\])|([*?])|([^*?\\]+|\\)/g)];
  const isPattern = parts.some(([, , wildcard]) => wildcard !== undefined);
  const text = parts
    .map(([, escaped, wildcard, literal]) => {
      if (wildcard !== undefined) return wildcard === "*" ? "%" : "_";
      const self = escaped ?? literal ?? "";
      return isPattern ? self.replaceAll(/[\\%_]/g, "\\$&") : self;
    })
    .join("");
  return { isPattern, text };
}

/** The keys that the argument means. `plain`: how it is compared when it is no pattern. */
export function keyFilter(argument: string | undefined, plain: "=" | "starts with"): Filter | undefined {
  if (argument === undefined) return undefined;
  const { isPattern, text } = readPattern(argument);
  return { column: "key", operator: isPattern ? "matches" : plain, value: text };
}

/** Says how a pattern was read, if it is one. */
export function notePattern(argument: string | undefined): void {
  if (argument === undefined || !readPattern(argument).isPattern) return;
  writeNote(`Keys that match ${argument} as a whole: * is any text, ? one character, \\* and \\? these characters.`);
}
