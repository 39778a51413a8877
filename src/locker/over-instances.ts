import type { Capabilities, Feature, FeatureState } from "../api/capabilities.js";
import type { PingResult, SweepResult } from "../api/results.js";
import { LeaseholdError } from "../errors/errors.js";
import { reworded } from "../errors/reworded.js";
import { quote } from "../runtime/describe.js";

/** What each of several instances has answered. */
export type Answers<Answer> = readonly (readonly [name: string, answer: Answer])[];

/**
 * Asks all of them at once, and waits for all: what one does not answer ends nothing on the others.
 * @throws the error of the first one that failed; its message names each that did
 */
export async function askAll<Asked, Answer>(
  all: ReadonlyMap<string, Asked>,
  ask: (asked: Asked) => Promise<Answer>,
): Promise<Answers<Answer>> {
  const names = [...all.keys()];
  const results = await Promise.allSettled(Array.from(all.values(), (asked) => ask(asked)));
  const answers: (readonly [string, Answer])[] = [];
  const failures: (readonly [string, unknown])[] = [];
  results.forEach((result, index) => {
    const name = names[index] ?? "";
    if (result.status === "fulfilled") answers.push([name, result.value]);
    else failures.push([name, result.reason]);
  });
  const [first] = failures;
  if (first === undefined) {
    return answers;
  }
  throw named(first[1], failures);
}

/** An error that is not ours is a fault of the library: it is left as it is. */
function named(error: unknown, failures: Answers<unknown>): unknown {
  if (!(error instanceof LeaseholdError)) {
    return error;
  }
  const texts = failures.map(
    ([name, failure]) => `Instance ${quote(name)}: ${failure instanceof Error ? failure.message : failure}`,
  );
  return reworded(error, texts.join("\n"));
}

export function slowest(answers: Answers<PingResult>): PingResult {
  const [first, ...others] = answers.map(([, answer]) => answer);
  return others.reduce((slow, one) => (one.ms > slow.ms ? one : slow), first as PingResult);
}

export function sumOfSweeps(answers: Answers<SweepResult>): SweepResult {
  const sum = { woken: 0, leasesPurged: 0, waitersPurged: 0, sessionsPurged: 0, countersPurged: 0 };
  for (const [, answer] of answers) {
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) {
      sum[name] += answer[name];
    }
  }
  return { ...sum, isBusy: answers.some(([, { isBusy }]) => isBusy) };
}

/** What holds for every instance: the least of each. */
export function commonCapabilities(answers: Answers<Capabilities>): Capabilities {
  const all = answers.map(([, answer]) => answer);
  const [first] = all as [Capabilities];
  const ways = new Set(all.map(({ commands }) => commands));
  const schemas = all.map(({ schemaVersion }) => schemaVersion);
  const features = (Object.keys(first.features) as Feature[]).map((feature) => {
    return [feature, commonState(answers.map(([name, { features }]) => [name, features[feature]]))] as const;
  });
  return {
    serverVersion: [...new Set(all.map(({ serverVersion }) => serverVersion))].join(", "),
    schemaVersion: schemas.some((version) => version === null) ? null : Math.min(...schemas.map(Number)),
    presence: all.every(({ presence }) => presence === "on") ? "on" : "off",
    fenceSource: all.every(({ fenceSource }) => fenceSource === "auto") ? "auto" : "manual",
    commands: ways.has("pooled") ? "pooled" : ways.has("given") ? "given" : "direct",
    features: Object.fromEntries(features) as Capabilities["features"],
  };
}

/** On where all have it. Why: as they say, with the names of those it is about where they do not say the same. */
function commonState(states: Answers<FeatureState>): FeatureState {
  const isOn = states.every(([, state]) => state.isOn);
  const decisive = states.filter(([, state]) => state.isOn === isOn);
  const reasons = [...new Set(decisive.map(([, { why }]) => why))];
  if (reasons.length === 1 && decisive.length === states.length) {
    return { isOn, why: reasons[0] ?? "" };
  }
  const texts = reasons.map((reason) => {
    const names = decisive.filter(([, { why }]) => why === reason).map(([name]) => quote(name));
    return `on ${names.join(", ")}: ${reason}`;
  });
  return { isOn, why: texts.join("; ") };
}
