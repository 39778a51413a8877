// npm run mutations: puts one fault after another into copies of the project, and runs the tests that should notice. A fault
// that no test notices means that a promise is not tested: the exit code is 1 then.
//
//   npm run mutations -- --only "release: by the key alone"   one of them, or all whose name contains this; it may be given
//       several times
//   npm run mutations -- --tests test/stale-writes/random.test.ts   which faults these files notice by themselves
//   npm run mutations -- --list
//   npm run mutations -- --check   whether each still finds its place in the source
//   npm run mutations -- --parallel 4   so many at a time, each in a copy of its own; default: half the processors, at least 2
//   npm run mutations -- --shard 2/5   the second fifth of them
//   npm run mutations -- --continue results.jsonl   notes each result in this file, and leaves out what it has already: a run
//       that was interrupted goes on. What depends on something that has changed since is run anew (scripts/mutations/records.ts)
import { availableParallelism, constants } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ownTemporaryFolder } from "../test/package/own-temporary-folder.js";
import { all } from "./mutants/all.js";
import type { Mutant } from "./mutants/mutant.js";
import { Baselines, type Run } from "./mutations/baselines.js";
import { Lane, type Place } from "./mutations/lanes.js";
import { checkPlaces } from "./mutations/places.js";
import { type Finding, Records } from "./mutations/records.js";
import { startServer } from "./mutations/server.js";
import { Trial } from "./mutations/trial.js";
import { isForLane, Workshop } from "./mutations/workshop.js";

interface Result extends Finding {
  readonly mutant: Mutant;
}

const root = fileURLToPath(new URL("..", import.meta.url));
/** Far more than any of the files takes beside another: a mutant that hangs for so long is killed, too. */
const patienceMs = 300_000;

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    tests: { type: "string" },
    list: { type: "boolean" },
    check: { type: "boolean" },
    parallel: { type: "string" },
    shard: { type: "string" },
    continue: { type: "string" },
  },
});
const mutants = all
  .filter(({ name }) => (values.only ?? [""]).some((part) => name.includes(part)))
  .filter(inShard(values.shard));

const filesOf = (mutant: Mutant) => values.tests?.split(",") ?? mutant.tests;

/** Every n-th, so that the shards take about as long as each other: neighbours have the same tests. */
function inShard(shard = "1/1"): (mutant: Mutant, index: number) => boolean {
  const [, part, of] = (/^(\d+)\/(\d+)$/.exec(shard) ?? []).map(Number);
  if (!part || !of || part > of) throw new Error(`--shard ${shard}: expected I/N, from 1/N to N/N`);
  return (_, index) => index % of === part - 1;
}

function parallelism(): number {
  if (values.parallel === undefined) return Math.max(2, Math.floor(availableParallelism() / 2));
  const parallel = Number(values.parallel);
  if (!Number.isInteger(parallel) || parallel < 1) throw new Error(`--parallel ${values.parallel}: expected a number`);
  return parallel;
}

/** Of a test that finds no function, or a file that cannot be loaded: it has not noticed the fault. */
const broken = /could not be (migrated|run)|syntax error|does not exist|SyntaxError|ReferenceError/;

async function judge({ workshop, lane }: Place, mutant: Mutant, baselines: Baselines): Promise<Finding> {
  const trial = new Trial(broken);
  const files = filesOf(mutant);
  // without a fault, as yet
  const inLane: Run = (tests, ms) => lane.run(tests, ms);
  const alone: Run = (tests) => workshop.failure(tests);
  const { files: passing, patienceMs } = await baselines.passing(inLane, files.filter(isForLane));
  const { files: others } = await baselines.passing(
    alone,
    files.filter((file) => !isForLane(file)),
  );
  if (passing.length + others.length === 0) return trial.finding("UNSURE", "its tests fail without it");

  let fault: Awaited<ReturnType<Workshop["apply"]>>;
  try {
    fault = await workshop.apply(mutant);
  } catch (error) {
    return trial.finding("BROKEN", (error as Error).message.split("\n")[0]);
  }
  const isSimple = fault.changed.every((file) => file.startsWith("src/") && file.endsWith(".ts"));
  if (!isSimple) await lane.stop(); // what is made of SQL is made when it starts
  let failure = passing.length === 0 ? null : await lane.run(passing, patienceMs, fault.changed);
  // The lane may have kept the source as it was, when the run before ended while it was still being loaded: a new process decides.
  if (failure === null && isSimple && passing.length > 0) failure = await workshop.failure(passing);
  if (failure === null && others.length > 0) failure = await workshop.failure(others);
  await fault.takeOut();
  if (isSimple) lane.note(fault.changed);
  else await lane.stop();
  return failure === null ? trial.finding("SURVIVED") : trial.noticed(failure, passing);
}

async function run(places: readonly Place[], records: Records): Promise<boolean> {
  const known = mutants.flatMap((mutant): Result[] => {
    const finding = records.finding(mutant, filesOf(mutant));
    return finding === undefined ? [] : [{ mutant, ...finding }];
  });
  const todo = mutants.filter((mutant) => !known.some((result) => result.mutant === mutant));
  if (known.length > 0) console.log(`${known.length} of ${mutants.length} are known from ${values.continue}`);
  const baselines = new Baselines(records);
  const results: Result[] = [];
  const queue = [...todo];
  await Promise.all(
    places.map(async (place) => {
      for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
        const finding = await judge(place, mutant, baselines);
        records.note(mutant, filesOf(mutant), finding);
        results.push({ mutant, ...finding });
        console.log(`${results.length}/${todo.length}  ${line({ mutant, ...finding })}`);
      }
      await place.lane.stop();
    }),
  );
  return summarise([...known, ...results]);
}

function summarise(results: readonly Result[]): boolean {
  const remaining = results.filter(({ outcome }) => outcome !== "killed");
  if (remaining.length > 0) console.log(`\n${remaining.map(line).join("\n")}`);
  console.log(`\n${results.length - remaining.length} of ${results.length} killed`);
  return remaining.length === 0;
}

function line({ mutant, outcome, by, seconds }: Result): string {
  const line = `${outcome.padEnd(8)}  ${seconds.toFixed(0).padStart(3)} s  ${mutant.name}  ${by}`.trimEnd();
  return line.length > 220 ? `${line.slice(0, 217)}...` : line;
}

if (mutants.length === 0) throw new Error("there is no such mutation: see --list");
checkPlaces(root, mutants);
if (values.list) {
  for (const { name, tests } of mutants) console.log(`${name}\n    ${tests.join(", ")}`);
} else if (values.check) {
  console.log(`${mutants.length} mutations find their places`);
} else {
  await using _temporary = await ownTemporaryFolder(); // for what is left by those that are ended
  const parallel = Math.min(parallelism(), mutants.length);
  // Made before the first test runs, so that all are of the sources of one moment.
  const places: Place[] = [];
  const clear = () => {
    for (const { workshop, lane } of places) {
      lane.kill();
      workshop.clear();
    }
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      clear();
      process.exit(128 + constants.signals[signal]); // the server has a guardian
    });
  }
  try {
    const records = new Records(root, values.continue);
    const workshops = Array.from({ length: parallel }, () => new Workshop(root, patienceMs * parallel));
    const server = await startServer();
    for (const workshop of workshops) places.push({ workshop, lane: new Lane(workshop.folder, server.url) });
    try {
      process.exitCode = (await run(places, records)) ? 0 : 1;
    } finally {
      clear();
      await server.stop();
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
