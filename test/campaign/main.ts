// npm run campaign: see arguments.ts for what it takes, README.md for what it does.
import "../support/watch.js";
import { rmSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileSources } from "../support/compiled.js";
import { randomFrom } from "../support/random.js";
import { runToEnd } from "../support/run-to-end.js";
import { keepServersInMemory } from "../support/server-folder.js";
import { type CampaignArguments, readArguments, UsageError, usage } from "./arguments.js";
import { check } from "./check/check.js";
import { report } from "./report.js";
import { appendResult, type RoundResult, readLog, readResults, resultOf, writeResults } from "./results.js";
import { playRound } from "./round.js";
import { type Scene, scenes } from "./scenes.js";

function understand(): CampaignArguments | "help" {
  try {
    return readArguments(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}

/** A round has its own seed, so that it is the same whatever came before it. */
function seedOf(seed: number, round: number): number {
  return Math.floor(randomFrom(seed ^ Math.imul(round + 1, 0x9e3779b1))() * 2 ** 32);
}

async function play(options: CampaignArguments, round: number, scene: Scene, logs: string): Promise<RoundResult> {
  const about = { round, seed: options.seed, scene: scene.name, seconds: options.seconds };
  const obstacle = await scene.obstacle?.();
  if (obstacle !== undefined) {
    console.warn(`!!! round ${round}, ${scene.name}: NOT PLAYED, ${obstacle}`);
    return {
      ...about,
      node: process.version,
      obstacle,
      violations: [],
      checked: {},
      unsure: {},
      faults: {},
      calls: {},
    };
  }
  const start = performance.now();
  const folder = join(logs, `round-${round}-${scene.name}`);
  await mkdir(folder, { recursive: true });
  const files = await playRound({ ...about, seed: seedOf(options.seed, round), scene, folder });
  const verdict = check(files);
  const result = resultOf(about, verdict, await readLog(files));
  const took = Math.round((performance.now() - start) / 1_000);
  const faults = Object.values(result.faults).reduce((sum, n) => sum + n, 0);
  const calls = Object.values(result.calls).reduce((sum, n) => sum + n, 0);
  console.log(
    `round ${round}, ${scene.name}: ${calls} calls, ${faults} faults, ${verdict.violations.length} violations, ${took} s`,
  );
  for (const { promise, text } of verdict.violations.slice(0, 10)) console.log(`FAIL  ${promise}: ${text}`);
  if (verdict.violations.length > 0) {
    console.log(
      `FAIL  the log is in ${folder}; again: npm run campaign -- --rounds 1 --from ${round} --seed ${options.seed} --seconds ${options.seconds}${options.scene ? ` --scene ${options.scene}` : ""}`,
    );
  } else if (options.keep === undefined) {
    await rm(folder, { recursive: true });
  }
  return result;
}

/** What the checker of today says of logs that were kept. */
async function judgeAgain(logs: string, resultsFile: string): Promise<boolean> {
  const results = [...(await readResults(resultsFile))];
  let broken = 0;
  let found = 0;
  for (const name of await readdir(logs)) {
    const at = results.findIndex(({ round, scene }) => name === `round-${round}-${scene}`);
    const before = results[at];
    if (before === undefined) continue;
    found += 1;
    const folder = join(logs, name);
    const files = (await readdir(folder)).filter((file) => file.endsWith(".jsonl")).map((file) => join(folder, file));
    const verdict = check(files);
    const { round, seed, scene, seconds } = before;
    results[at] = resultOf({ round, seed, scene, seconds }, verdict, await readLog(files));
    console.log(
      `round ${round}, ${scene}: ${before.violations.length} violations before, ${verdict.violations.length} now`,
    );
    for (const { promise, text } of verdict.violations) console.log(`FAIL  ${promise}: ${text}`);
    if (verdict.violations.length > 0) broken += 1;
  }
  if (found === 0)
    throw new Error(`--again ${logs}: expected a folder with the logs of rounds that are in ${resultsFile}`);
  await writeResults(resultsFile, results);
  return broken === 0;
}

async function campaign(options: CampaignArguments, interrupted: AbortSignal): Promise<boolean> {
  await keepServersInMemory();
  const removeCompiled = await compileSources();
  const logs = options.keep ?? (await mkdtemp(join(tmpdir(), "leasehold-campaign-")));
  console.log(`--seed ${options.seed}, ${options.rounds} rounds of ${options.seconds} s from round ${options.from}`);
  const pool = scenes.filter(({ name }) => options.scene === undefined || name === options.scene);
  let next = options.from;
  let broken = 0;
  interrupted.addEventListener("abort", () => {
    if (options.keep === undefined && broken === 0) rmSync(logs, { recursive: true, force: true });
  });
  const playOn = async (): Promise<void> => {
    while (next < options.from + options.rounds) {
      const round = next;
      next += 1;
      const result = await play(options, round, pool[round % pool.length] as Scene, logs);
      if (options.results !== undefined) await appendResult(options.results, result);
      if (result.violations.length > 0) broken += 1;
    }
  };
  try {
    await Promise.all(Array.from({ length: options.parallel }, playOn));
  } finally {
    await removeCompiled();
    if (options.keep === undefined && broken === 0) await rm(logs, { recursive: true, force: true });
  }
  console.log(broken === 0 ? "every promise was kept" : `${broken} rounds with violations`);
  return broken === 0;
}

const options = understand();
if (options === "help") {
  console.log(usage);
} else if (options.report !== undefined) {
  console.log(report(await readResults(options.report)));
} else if (options.again !== undefined) {
  process.exitCode = (await judgeAgain(options.again, options.results ?? "")) ? 0 : 1;
} else {
  await runToEnd((interrupted) => campaign(options, interrupted));
}
