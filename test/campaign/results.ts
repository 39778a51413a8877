// What a round came to: one line of a results file.
import { appendFile, readFile, rename, writeFile } from "node:fs/promises";
import type { Verdict } from "./check/check.js";
import type { Entry } from "./log.js";

export interface RoundResult {
  readonly round: number;
  /** Of the campaign. */
  readonly seed: number;
  readonly scene: string;
  readonly seconds: number;
  readonly node: string;
  /** Why it was not played. */
  readonly obstacle?: string;
  readonly violations: readonly { readonly promise: string; readonly text: string }[];
  /** What was compared, by promise. */
  readonly checked: Readonly<Record<string, number>>;
  /** What was left out, by promise and reason. */
  readonly unsure: Readonly<Record<string, number>>;
  /** "fault, moment, function": how often. */
  readonly faults: Readonly<Record<string, number>>;
  /** "call: outcome": how often. */
  readonly calls: Readonly<Record<string, number>>;
}

/** Counts what the log says was done and suffered. */
export function count(entries: Iterable<Entry>): Pick<RoundResult, "faults" | "calls"> {
  const faults: Record<string, number> = {};
  const calls: Record<string, number> = {};
  const names = new Map<string, string>();
  for (const entry of entries) {
    if (entry.e === "fault" && entry.phase === "begin")
      add(faults, [entry.fault, entry.moment ?? "any", entry.during ?? ""].join("|"));
    if (entry.e === "call")
      names.set(`${entry.p} ${entry.id}`, entry.by === undefined ? entry.call : `${entry.call}, ${entry.by}`);
    if (entry.e === "settled") {
      const outcome = entry.outcome === "error" ? (entry.code ?? "error") : entry.outcome;
      add(calls, `${names.get(`${entry.p} ${entry.id}`)}|${outcome}`);
    }
  }
  return { faults, calls };
}

export function resultOf(
  about: Pick<RoundResult, "round" | "seed" | "scene" | "seconds">,
  verdict: Verdict,
  entries: Iterable<Entry>,
): RoundResult {
  return {
    ...about,
    node: process.version,
    violations: verdict.violations.map(({ promise, text }) => ({ promise, text })),
    checked: flat(verdict.checked),
    unsure: flat(verdict.unsure),
    ...count(entries),
  };
}

function flat(counts: Verdict["checked"]): Record<string, number> {
  const all: Record<string, number> = {};
  for (const [promise, own] of Object.entries(counts)) {
    for (const [what, n] of Object.entries(own)) all[`${promise}: ${what}`] = n;
  }
  return all;
}

/** A last line may be cut off: its writer was killed. */
export async function readLog(files: readonly string[]): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  for (const file of files) {
    const lines = (await readFile(file, "utf8")).split("\n").slice(0, -1);
    for (const line of lines) entries.push(JSON.parse(line));
  }
  return entries;
}

/** All or nothing. */
export async function writeResults(file: string, results: readonly RoundResult[]): Promise<void> {
  await writeFile(`${file}.new`, results.map((result) => `${JSON.stringify(result)}\n`).join(""));
  await rename(`${file}.new`, file);
}

export async function appendResult(file: string, result: RoundResult): Promise<void> {
  await appendFile(file, `${JSON.stringify(result)}\n`);
}

export async function readResults(file: string): Promise<readonly RoundResult[]> {
  const lines = (await readFile(file, "utf8")).split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line));
}

function add(to: Record<string, number>, what: string): void {
  to[what] = (to[what] ?? 0) + 1;
}
