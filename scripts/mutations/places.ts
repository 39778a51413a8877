// Where a mutant goes: the texts of the files that it changes.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Mutant } from "../mutants/mutant.js";

export interface Change {
  readonly file: string;
  readonly original: string;
  readonly text: string;
}

/** @throws when a place is not there, or not the only one */
export function mutated(folder: string, { name, file: usual, edits }: Mutant): readonly Change[] {
  return [...new Set(edits.map(([, , file]) => file ?? usual))].map((file) => {
    const original = readFileSync(join(folder, file), "utf8");
    let text = original;
    for (const [find, replacement, where] of edits) {
      if ((where ?? usual) !== file) continue;
      const found = text.split(find).length - 1;
      if (found !== 1) throw new Error(`${name}: found ${found} times in ${file}, not once:\n${find}`);
      text = text.replace(find, () => replacement);
    }
    if (text === original) throw new Error(`${name}: changes nothing in ${file}`);
    return { file, original, text };
  });
}

/** @throws when a mutant does not find its place, with all that do not */
export function checkPlaces(folder: string, mutants: readonly Mutant[]): void {
  const misfits = mutants.flatMap((mutant) => {
    try {
      mutated(folder, mutant);
      return [];
    } catch (error) {
      return [(error as Error).message];
    }
  });
  if (misfits.length > 0) throw new Error(misfits.join("\n"));
}
