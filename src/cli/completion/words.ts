import type { OptionDefinition } from "../arguments.js";

export type Entry = readonly [name: string, option: OptionDefinition];

/** How these options are written: `-j`, `--json`. */
export function allWords(options: readonly Entry[]): readonly string[] {
  return options.flatMap((entry) => wordsOf(entry));
}

export function wordsOf([name, { short }]: Entry): readonly string[] {
  return [...(short === undefined ? [] : [`-${short}`]), `--${name}`];
}

/** Whether what follows the option is its value for sure. */
export function hasValue({ value, mayBe }: OptionDefinition): boolean {
  return value !== undefined && mayBe === undefined;
}

/** In single quotes, as bash and zsh read them. */
export function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
