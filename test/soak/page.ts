// The end of docs/soak.md: what the last run that was drawn has shown.
import { toFigure } from "../../bench/results.js";
import type { SoakRun } from "./samples.js";
import type { Finding, Verdict } from "./verdict.js";

export const marker = "<!-- What follows is written by npm run soak -- --draw -->";

/** @throws {Error} when the page has no place for it */
export function withLastRun(page: string, run: SoakRun, verdict: Verdict): string {
  const at = page.indexOf(marker);
  if (at < 0) throw new Error(`docs/soak.md has no line ${marker}`);
  return `${page.slice(0, at)}${marker}\n\n${lastRun(run, verdict)}`;
}

function lastRun({ about, faults, samples }: SoakRun, { findings, problems, text }: Verdict): string {
  const counts = new Map<string, number>();
  for (const { what } of faults) counts.set(what, (counts.get(what) ?? 0) + 1);
  const load = samples.reduce((sum, { machineLoad }) => sum + machineLoad, 0) / Math.max(1, samples.length);
  const done = samples.reduce((sum, one) => sum + one.done, 0);
  const grants = samples.reduce((sum, one) => sum + one.grants, 0);
  const whole = (value: number) => Math.round(value).toLocaleString("en-US");
  const rows = findings.filter(({ isMet }) => isMet !== null);
  return `## The last run

${about.date}, commit ${about.commit}: ${about.minutes} minutes with ${about.rate} acts a second by ${about.workers} processes, \`--seed ${about.seed}\`, Node ${about.node.slice(1)}, Postgres ${about.postgres}.
${about.machine}. The load of the machine was ${toFigure(load)} on average${load > 2 * about.processors ? ", most of it other work: believe the memory and the tables, and the times last" : ""}.

${whole(done)} acts, ${whole(grants)} grants. Faults: ${[...counts].map(([what, count]) => `${what} ${count}`).join(", ")}.

**${text}**${problems.map((problem) => `\n\n- ${problem.split("\n")[0]}`).join("")}

| | second fifth | last fifth | at most | |
|---|--:|--:|--:|---|
${rows.map(toRow).join("\n")}
`;
}

function toRow({ what, unit, early, late, bound, isMet, counts }: Finding): string {
  const [name, least] = what.split(", at least");
  const text = (value: number | null) => (value === null ? "" : `${toFigure(value)} ${unit}`.trim());
  const limit = least === undefined ? text(bound) : `at least ${text(bound)}`;
  return `| ${name} | ${text(early)} | ${text(late)} | ${limit} | ${isMet ? "" : counts ? "**grows**" : "does not count: the machine was busy"} |`;
}
