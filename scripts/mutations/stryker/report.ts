// What Stryker found: which faults survived, and the score.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { explained } from "./explained.js";

interface Place {
  readonly line: number;
  readonly column: number;
}

interface StrykerMutant {
  readonly mutatorName: string;
  readonly replacement?: string;
  readonly location: { readonly start: Place; readonly end: Place };
  readonly status: string;
}

/** The schema of mutation-testing-elements. */
export interface Report {
  readonly files: Readonly<Record<string, { readonly source: string; readonly mutants: readonly StrykerMutant[] }>>;
}

export interface Survivor {
  /** The same for as long as the line and the fault are. */
  readonly id: string;
  readonly file: string;
  readonly line: number;
  readonly what: string;
  /** The source with the fault in it. */
  readonly text: string;
  /** Whether no unit test reaches it at all. */
  readonly isUnreached: boolean;
  /** Whether the compiler refuses it: then nobody makes it. */
  readonly isRefused: boolean;
}

const run = promisify(execFile);

/** Those that survived. Each is put into the copy in `folder`, and compiled there. */
export async function survivorsOf(report: Report, folder: string): Promise<readonly Survivor[]> {
  const survivors: Survivor[] = [];
  for (const [file, { source, mutants }] of Object.entries(report.files)) {
    const seen = new Map<string, number>();
    for (const { mutatorName, replacement = "", location, status } of mutants) {
      const at = offsetOf(source, location.start);
      const end = offsetOf(source, location.end);
      const before = source.slice(at, end);
      const line = source.split("\n")[location.start.line - 1]?.trim() ?? "";
      const key = JSON.stringify([file, mutatorName, line, before, replacement]);
      const nth = (seen.get(key) ?? 0) + 1;
      seen.set(key, nth);
      if (status !== "Survived" && status !== "NoCoverage") continue;
      const text = source.slice(0, at) + replacement + source.slice(end);
      survivors.push({
        id: createHash("sha256").update(`${key}${nth}`).digest("hex").slice(0, 10),
        file,
        line: location.start.line,
        what: `${mutatorName}: ${short(before)} → ${short(replacement)}`,
        text,
        isUnreached: status === "NoCoverage",
        isRefused: await isRefused(folder, file, text, source),
      });
    }
  }
  return survivors;
}

/**
 * Prints the survivors, and the score by file. `isNoticed` says of a survivor of the unit tests whether other tests noticed it. Returns whether
 * each that is left is explained.
 */
export function showScore(
  report: Report,
  survivors: readonly Survivor[],
  isNoticed: (survivor: Survivor) => boolean,
): boolean {
  const outcomeOf = (survivor: Survivor) => {
    if (survivor.isRefused) return "refused";
    if (isNoticed(survivor)) return "noticed";
    return explained.has(survivor.id) ? "explained" : "remaining";
  };
  for (const survivor of survivors) {
    if (outcomeOf(survivor) !== "remaining") continue;
    console.log(`SURVIVED  ${survivor.id}  ${survivor.file}:${survivor.line}  ${survivor.what}`);
  }
  console.log("\n| | noticed by unit tests | by others | survived | explained | refused by the compiler |");
  console.log("| --- | --- | --- | --- | --- | --- |");
  const total = [0, 0, 0, 0, 0];
  for (const [file, { mutants }] of Object.entries(report.files)) {
    const outcomes = survivors.filter((survivor) => survivor.file === file).map(outcomeOf);
    const count = (wanted: string) => outcomes.filter((outcome) => outcome === wanted).length;
    const counts = [
      mutants.filter(({ status }) => status === "Killed" || status === "Timeout").length,
      ...["noticed", "remaining", "explained", "refused"].map(count),
    ];
    console.log(`| ${file} | ${counts.join(" | ")} |`);
    counts.forEach((count, index) => {
      total[index] = (total[index] ?? 0) + count;
    });
  }
  console.log(`| all | ${total.join(" | ")} |`);
  return total[2] === 0;
}

async function isRefused(folder: string, file: string, text: string, sound: string): Promise<boolean> {
  const path = join(folder, file);
  writeFileSync(path, text);
  const args = [join(folder, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json", "--noEmit"];
  const refused = await run(process.execPath, args, { cwd: folder }).then(
    () => false,
    () => true,
  );
  writeFileSync(path, sound);
  return refused;
}

function offsetOf(source: string, { line, column }: Place): number {
  const lines = source.split("\n").slice(0, line - 1);
  return lines.reduce((sum, text) => sum + text.length + 1, 0) + column - 1;
}

function short(text: string): string {
  const line = text.replace(/\s+/g, " ");
  return line.length > 70 ? `${line.slice(0, 67)}...` : line;
}
