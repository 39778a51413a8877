// The table of a run: for the terminal, and for the guide.
import { kinds } from "./findings.js";
import type { FaultReport, Kept } from "./measure.js";

const begin = "<!-- written by npm run cluster -- --write: begin -->";
const end = "<!-- written by npm run cluster -- --write: end -->";

const columns: readonly (readonly [string, (report: FaultReport) => string])[] = [
  ["fault", ({ fault }) => fault],
  ["replication", ({ mode }) => mode],
  ["no grants for (HAProxy / hosts)", ({ gapMs }) => `${seconds(gapMs.haproxy)} / ${seconds(gapMs.hosts)} s`],
  ["locks kept, TTL 30 s", ({ kept }) => part(kept["30"])],
  ["TTL 60 s", ({ kept }) => part(kept["60"])],
  ["the holders of the others were told", ({ reasons }) => listed(reasons)],
  ["grants", ({ grants }) => String(grants)],
  ["guarded writes: committed / refused / unknown", ({ writes }) => Object.values(writes).join(" / ")],
  ["new leaders", ({ leaders }) => String(leaders)],
  ["believed in at once", ({ limits }) => String(limits.believers)],
  ["grants by the old primary", ({ limits }) => String(limits.oldGrants)],
  ["answered writes lost / built on", ({ limits }) => `${limits.lostWrites} / ${limits.fromLost}`],
  ["violations", ({ violations }) => String(violations.length)],
];

/** In Markdown, which a terminal shows well enough. */
export function tableOf(reports: readonly FaultReport[]): string {
  const rows = [
    columns.map(([title]) => title),
    columns.map(() => "---"),
    ...reports.map((report) => columns.map(([, cell]) => cell(report))),
  ];
  return rows.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** What the run was, and what must be 0, in two sentences. `about`: the machine. */
export function summaryOf(reports: readonly FaultReport[], minutes: number, about: string): string {
  const sum = (of: (report: FaultReport) => number) => reports.reduce((all, report) => all + of(report), 0);
  const figures = [
    `${sum(({ calls }) => calls)} calls`,
    `${sum(({ grants }) => grants)} grants`,
    `${sum(({ writes }) => writes.committed)} committed guarded transactions`,
  ];
  const broken = kinds.map((kind) => `${kind} ${sum(({ counts }) => counts[kind])}`);
  return `${figures.join(", ")}, in ${Math.round(minutes)} minutes (${about}). Violations: ${broken.join(", ")}.`;
}

/**
 * The page with the block in it replaced.
 * @throws {Error} when the page has no such block
 */
export function writeInto(page: string, text: string): string {
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new Error(`the page has no block between "${begin}" and "${end}"`);
  return `${page.slice(0, from + begin.length)}\n${text}\n${page.slice(to)}`;
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1);
}

function part({ kept, of }: Kept): string {
  return `${kept} of ${of}`;
}

function listed(reasons: Readonly<Record<string, number>>): string {
  return (
    Object.entries(reasons)
      .map(([reason, count]) => `${reason} ${count}`)
      .join(", ") || "–"
  );
}
