import type { Finding } from "../records.js";
import { explained } from "./explained.js";
import type { GeneratedMutant } from "./generate.js";

interface Score {
  killed: number;
  survived: number;
  explained: number;
  /** Refused by Postgres: no fault that anybody could make. */
  refused: number;
  unsure: number;
}

/** Prints the survivors, and the score by folder. Says whether each survivor is explained. */
export function showScore(
  mutants: readonly GeneratedMutant[],
  results: ReadonlyMap<GeneratedMutant, Finding>,
  describe: (mutant: GeneratedMutant) => string,
): boolean {
  const scores = new Map<string, Score>();
  const survivors: GeneratedMutant[] = [];
  for (const mutant of mutants) {
    const finding = results.get(mutant);
    const isExplained = explained.has(mutant.id);
    if (finding === undefined && !isExplained) continue;
    for (const name of [mutant.file.split("/").slice(0, 3).join("/"), "all"]) {
      const score = scores.get(name) ?? { killed: 0, survived: 0, explained: 0, refused: 0, unsure: 0 };
      scores.set(name, score);
      if (finding?.outcome === "killed") score.killed += 1;
      else if (finding?.outcome === "BROKEN") score.refused += 1;
      else if (isExplained) score.explained += 1;
      else if (finding?.outcome === "SURVIVED") score.survived += 1;
      else score.unsure += 1;
    }
    if (finding?.outcome === "SURVIVED" && !isExplained) survivors.push(mutant);
  }
  if (survivors.length > 0) console.log(`\nsurvived:\n${survivors.map(describe).join("\n")}`);
  console.log(
    "\n| | killed | survived | explained | refused by Postgres | not judged |\n| --- | --- | --- | --- | --- | --- |",
  );
  for (const [name, { killed, survived, explained, refused, unsure }] of scores)
    console.log(`| ${name} | ${killed} | ${survived} | ${explained} | ${refused} | ${unsure} |`);
  return survivors.length === 0;
}
