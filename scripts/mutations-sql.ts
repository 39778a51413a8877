// npm run mutations:sql: faults in src/sql that nobody thought of: each condition dropped and turned around, each lock weakened, each clock
// moved, each statement left out (scripts/mutations/sql/generate.ts). The exit code is 1 when one survives that
// scripts/mutations/sql/explained.ts does not explain.
//
//   npm run mutations:sql -- --sample 200 --seed 7   so many, drawn by chance: all of them take a day
//   npm run mutations:sql -- --file leases/release   those in files whose path contains this; several times for several
//   npm run mutations:sql -- --only 3f9a01c2d4       this one; several times for several
//   npm run mutations:sql -- --tests FILES           which faults these files notice by themselves, separated by commas
//   npm run mutations:sql -- --list                  what each would be, and which tests should notice
//   npm run mutations:sql -- --parallel 4            so many at a time, each with a database of its own; default: half the processors
//   npm run mutations:sql -- --continue FILE         as for npm run mutations
//   npm run mutations:sql -- --continue FILE --again   and those that survived are run again
//   npm run mutations:sql -- --known FILE            runs nothing: the score of what this file has
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { availableParallelism, constants } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ownTemporaryFolder } from "../test/package/own-temporary-folder.js";
import { all } from "./mutants/all.js";
import type { Mutant } from "./mutants/mutant.js";
import { Baselines } from "./mutations/baselines.js";
import { Lane } from "./mutations/lanes.js";
import { type Finding, Records } from "./mutations/records.js";
import { startServer } from "./mutations/server.js";
import { replaceableFiles } from "./mutations/sql/database.js";
import { explained } from "./mutations/sql/explained.js";
import { type GeneratedMutant, generate } from "./mutations/sql/generate.js";
import { Judge } from "./mutations/sql/judge.js";
import { showScore } from "./mutations/sql/score.js";
import { TestsOf } from "./mutations/sql/tests-of.js";
import { Workshop } from "./mutations/workshop.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const { values } = parseArgs({
  options: {
    sample: { type: "string" },
    seed: { type: "string", default: "1" },
    file: { type: "string", multiple: true },
    only: { type: "string", multiple: true },
    tests: { type: "string" },
    list: { type: "boolean" },
    parallel: { type: "string" },
    continue: { type: "string" },
    again: { type: "boolean" },
    known: { type: "string" },
  },
});

const tests = new TestsOf(root, all, values.tests?.split(","));
const mutants = draw(
  replaceableFiles(root)
    .filter((file) => (values.file ?? [""]).some((part) => file.includes(part)))
    .flatMap((file) => generate(file, readFileSync(join(root, file), "utf8")))
    .filter(({ id }) => values.only?.includes(id) ?? true),
);

/** The same for the same seed; of a larger sample the smaller one is the beginning. */
function draw(all: readonly GeneratedMutant[]): readonly GeneratedMutant[] {
  if (values.sample === undefined) return all;
  const seed = numberOf("seed", values.seed);
  // by the mutation's own name, so that a change of others changes nothing
  const lots = all.map((mutant) => ({
    mutant,
    lot: createHash("sha256").update(`${seed} ${mutant.id}`).digest("hex"),
  }));
  return lots
    .sort((a, b) => (a.lot < b.lot ? -1 : 1))
    .slice(0, numberOf("sample", values.sample))
    .map(({ mutant }) => mutant);
}

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} ${text}: expected a number from 1`);
  return number;
}

/** As the records know it. The tests are not part of it: which they are follows from the sources. */
function asMutant({ id, file, before, after }: GeneratedMutant): Mutant {
  return { name: id, file, edits: [[before, after]], tests: [] };
}

function describe({ id, file, line, rule, before, after }: GeneratedMutant): string {
  const short = (text: string) => (text.length > 90 ? `${text.slice(0, 87)}...` : text);
  return `${id}  ${file}:${line}  ${rule}: ${short(before)} → ${short(after) || "nothing"}`;
}

async function run(records: Records): Promise<ReadonlyMap<GeneratedMutant, Finding>> {
  const results = new Map<GeneratedMutant, Finding>();
  const known = (mutant: GeneratedMutant) => records.finding(asMutant(mutant), []);
  for (const mutant of mutants) {
    const finding = known(mutant);
    if (finding !== undefined && !(values.again && finding.outcome === "SURVIVED")) results.set(mutant, finding);
  }
  const queue = mutants.filter((mutant) => !results.has(mutant) && !explained.has(mutant.id));
  console.log(`${mutants.length} mutations: ${results.size} are known, ${queue.length} are to be run`);
  if (queue.length === 0 || values.known !== undefined) return results;

  const parallel = Math.min(
    queue.length,
    values.parallel ? numberOf("parallel", values.parallel) : availableParallelism(),
  );
  await using _temporary = await ownTemporaryFolder(); // for what is left by those that are ended
  // made before the first test runs, so that all are of the sources of one moment
  const workshops = Array.from({ length: parallel }, () => new Workshop(root, 600_000));
  const lanes: Lane[] = [];
  const clear = () => {
    for (const lane of lanes) lane.kill();
    for (const workshop of workshops) workshop.clear();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      clear();
      process.exit(128 + constants.signals[signal]); // the server has a guardian
    });
  }
  const server = await startServer();
  try {
    for (const workshop of workshops) lanes.push(new Lane(workshop.folder, server.url));
    const judge = new Judge(root, tests, new Baselines(records));
    const total = queue.length;
    let done = 0;
    await Promise.all(
      workshops.map(async (workshop, index) => {
        const lane = lanes[index] as Lane;
        for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
          const finding = await judge.judge({ lane, workshop }, mutant);
          records.note(asMutant(mutant), [], finding);
          results.set(mutant, finding);
          done += 1;
          console.log(
            `${done}/${total}  ${finding.outcome.padEnd(8)} ${finding.seconds} s  ${describe(mutant)}  ${finding.by}`,
          );
        }
        await lane.stop();
      }),
    );
  } finally {
    clear();
    await server.stop();
  }
  return results;
}

if (mutants.length === 0) throw new Error("there is no such mutation: see --list");
if (values.list) {
  for (const mutant of mutants) console.log(`${describe(mutant)}\n    ${tests.of(mutant.file, 6).join(", ")}`);
} else {
  const results = await run(new Records(root, values.known ?? values.continue));
  process.exitCode = showScore(mutants, results, describe) ? 0 : 1;
}
