// What a run finds out: rows of samples. Tables, bounds, the chart and the JSON file are all made from them.
import { median, ratio, spread } from "./statistics.js";

export interface Row {
  readonly workload: string;
  /** Such as "16 in flight, 1 process". */
  readonly case: string;
  readonly contender: string;
  readonly unit: string;
  readonly isMoreBetter: boolean;
  /** One for each window, in the order of the rounds: the rows of one case pair up. */
  readonly samples: readonly number[];
  /** Further figures, by their name and unit, such as "client µs". */
  readonly also?: Readonly<Record<string, number>>;
}

export interface LeftOut {
  readonly what: string;
  readonly why: string;
}

export interface BoundResult {
  readonly what: string;
  readonly must: string;
  readonly goal: string;
  /** Null: not measured in this run. */
  readonly measured: string | null;
  readonly isMet: boolean | null;
  readonly isGoalMet: boolean | null;
  /** The same for the other build, where there is one. */
  readonly against: string | null;
}

export interface Results {
  readonly about: Readonly<Record<string, string | number | boolean>>;
  readonly leftOut: readonly LeftOut[];
  readonly rows: readonly Row[];
  readonly bounds: readonly BoundResult[];
}

export function findRow(rows: readonly Row[], workload: string, of: string, contender: string): Row | undefined {
  return rows.find((row) => row.workload === workload && row.case === of && row.contender === contender);
}

/** `numerator` to `denominator`; undefined when one of them was not measured. */
export function ratioOf(numerator: Row | undefined, denominator: Row | undefined): number | undefined {
  return numerator && denominator && ratio(numerator.samples, denominator.samples);
}

/** The rows of one case as text, each beside the first. */
export function toTable(rows: readonly Row[]): string {
  const [first] = rows;
  if (first === undefined) return "";
  const extras = [...new Set(rows.flatMap((row) => Object.keys(row.also ?? {})))];
  const header = [`${first.case} (${first.unit})`, "median", "spread", `${first.contender} / it`, ...extras];
  const lines = rows.map((row) => [
    row.contender,
    toFigure(median(row.samples)),
    row.samples.length > 1 ? `± ${(spread(row.samples) * 100).toFixed(0)} %` : "",
    row === first || row.unit !== first.unit ? "" : toFigure(ratio(first.samples, row.samples)),
    ...extras.map((name) => (row.also?.[name] === undefined ? "" : toFigure(row.also[name]))),
  ]);
  return align([header, ...lines]);
}

export function toBoundsTable(bounds: readonly BoundResult[]): string {
  const hasAgainst = bounds.some(({ against }) => against !== null);
  const header = ["bound", "must", "goal", "measured", "ok", ...(hasAgainst ? ["the other build"] : [])];
  const lines = bounds.map(({ what, must, goal, measured, isMet, isGoalMet, against }) => [
    what,
    must,
    goal,
    measured ?? "not measured",
    isMet === null ? "" : isMet ? (isGoalMet ? "goal" : "ok") : "NO",
    ...(hasAgainst ? [against ?? ""] : []),
  ]);
  return align([header, ...lines]);
}

export function toFigure(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/** The first column to the left, all others to the right. */
export function align(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  "),
    )
    .map((line) => line.trimEnd())
    .join("\n");
}
