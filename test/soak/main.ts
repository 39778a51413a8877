// npm run soak -- --minutes 60: a steady load with faults now and then, for as long as you like, and whether anything grows. The status
// says so. A seed repeats what is drawn; not how the processes are scheduled.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { align, toFigure } from "../../bench/results.js";
import { runToEnd } from "../support/run-to-end.js";
import { help, parseSoakArguments, type SoakArguments } from "./arguments.js";
import { drawCharts } from "./chart.js";
import { withLastRun } from "./page.js";
import type { Sample, SoakRun } from "./samples.js";
import { soak } from "./soak.js";
import { type Finding, judge } from "./verdict.js";

const docs = fileURLToPath(new URL("../../docs/", import.meta.url));
const args = parse();
if (args.isHelp) {
  console.log(help);
} else {
  await runToEnd(run);
}

async function run(): Promise<boolean> {
  const soaked = args.from === null ? await play() : readRun(args.from);
  if (args.out !== null) writeFileSync(args.out, `${JSON.stringify(soaked, rounded)}\n`);
  const verdict = judge(soaked);
  console.log(`\n${toTable(verdict.findings)}\n`);
  for (const problem of verdict.problems) console.log(`FAIL  ${problem}`);
  console.log(verdict.isFlat ? verdict.text : `${verdict.text} It was --seed ${soaked.about.seed}.`);
  if (args.isDrawn) {
    for (const { file, text } of drawCharts(soaked)) writeFileSync(`${docs}${file}`, text);
    writeFileSync(`${docs}soak.md`, withLastRun(readFileSync(`${docs}soak.md`, "utf8"), soaked, verdict));
    console.log("drawn: docs/soak.md and its charts");
  }
  return verdict.isFlat;
}

async function play(): Promise<SoakRun> {
  const { minutes, rate, seed, url } = args;
  console.log(`${minutes} minutes, ${rate} acts a second, --seed ${seed}`);
  let saidAtS = 0;
  const onSample = (sample: Sample): void => {
    if (sample.atS - saidAtS < 60) return;
    saidAtS = sample.atS;
    console.log(toLine(sample));
  };
  const onStart = (pids: readonly number[]) => console.log(`the load has begun: processes ${pids.join(", ")}`);
  return await soak({ minutes, rate, seed, url, onSample, onStart });
}

function parse(): SoakArguments {
  try {
    return parseSoakArguments(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`);
    process.exit(2);
  }
}

/** @throws {Error} which names the file */
function readRun(file: string): SoakRun {
  try {
    const run: SoakRun = JSON.parse(readFileSync(file, "utf8"));
    if (!Array.isArray(run.samples) || run.about === undefined) throw new Error("it has no samples");
    return run;
  } catch (error) {
    throw new Error(`--from needs a file that --out has written: ${(error as Error).message}`);
  }
}

function toLine({ atS, clients, server, cycle, errors }: Sample): string {
  const heap = clients.map(({ heapMb }) => (heapMb === null ? "-" : toFigure(heapMb))).join(" and ");
  const failed = Object.values(errors).reduce((sum, count) => sum + count, 0);
  return [
    `${Math.round(atS / 60)} min: heap ${heap} MB`,
    server === null
      ? "the server is away"
      : `server ${toFigure(server.privateMb ?? Number.NaN)} MB, ${server.rows.leases} leases, ${server.connections} connections`,
    `p50 ${toFigure(cycle?.p50 ?? Number.NaN)} ms`,
    `${failed} failed`,
  ].join(", ");
}

function toTable(findings: readonly Finding[]): string {
  const text = (value: number | null, unit: string) => (value === null ? "-" : `${toFigure(value)} ${unit}`.trim());
  const lines = findings.map(({ what, unit, early, late, bound, isMet, counts }) => [
    what,
    text(early, unit),
    text(late, unit),
    text(bound, unit),
    isMet === null ? "not measured" : isMet ? "ok" : counts ? "GROWS" : "does not count: the machine was busy",
  ]);
  return align([["", "second fifth", "last fifth", "bound", ""], ...lines]);
}

/** Five digits are more than any of it is good for; positions in the write-ahead log need more. */
function rounded(name: string, value: unknown): unknown {
  return typeof value === "number" && name !== "walBytes" && name !== "startedAt"
    ? Number(value.toPrecision(5))
    : value;
}
