import type { JsonObject, JsonValue } from "../api/metadata.js";
import { quote } from "../runtime/describe.js";
import type { DebugInfo } from "./debug.js";
import type { Answers } from "./over-instances.js";

const MAX_LOST = 100;
const MAX_ERRORS = 50;

/** What all instances say together, and each by itself. `weights`: by their names. */
export function describeInstances(answers: Answers<DebugInfo>, weights: ReadonlyMap<string, number>): DebugInfo {
  const all = answers.map(([, info]) => info);
  const [first] = all as [DebugInfo];
  return {
    at: first.at,
    version: first.version,
    lockerId: first.lockerId,
    state: stateOf(all),
    options: optionsOf(answers, weights),
    connections: null,
    locks: all.flatMap(({ locks }) => locks),
    lost: newestFirst(
      all.flatMap(({ lost }) => lost),
      ({ lostAt }) => lostAt,
    ).slice(0, MAX_LOST),
    waits: all.flatMap(({ waits }) => waits),
    errors: newestFirst(
      all.flatMap(({ errors }) => errors),
      ({ lastAt }) => lastAt,
    ).slice(0, MAX_ERRORS),
    server: serverOf(answers),
    instances: Object.fromEntries(answers),
  };
}

/** They are closed all at once; one alone may be, too. */
function stateOf(all: readonly DebugInfo[]): DebugInfo["state"] {
  if (all.every(({ state }) => state === "closed")) {
    return "closed";
  }
  return all.every(({ state }) => state !== "open") ? "closing" : "open";
}

/** Those that are the same for all, and of each instance the others, with its weight. */
function optionsOf(answers: Answers<DebugInfo>, weights: ReadonlyMap<string, number>): JsonObject {
  const [, first] = answers[0] as readonly [string, DebugInfo];
  const isCommon = (name: string, value: JsonValue | undefined): boolean =>
    answers.every(([, { options }]) => JSON.stringify(options[name]) === JSON.stringify(value));
  const common = Object.entries(first.options).filter(([name, value]) => isCommon(name, value));
  const own = answers.map(([name, { options }]) => {
    const others = Object.entries(options).filter(([option, value]) => !isCommon(option, value));
    return [name, { weight: weights.get(name) ?? 0, ...Object.fromEntries(others) }] as const;
  });
  return { ...Object.fromEntries(common), instances: Object.fromEntries(own) };
}

/** Whether all can be reached: the slowest answer and the versions, or what is wrong with the first that does not answer. */
function serverOf(answers: Answers<DebugInfo>): DebugInfo["server"] {
  let ms = 0;
  const versions = new Set<string>();
  for (const [name, { server }] of answers) {
    if (!server.isReachable) {
      const { error } = server;
      return { isReachable: false, error: { ...error, message: `Instance ${quote(name)}: ${error.message}` } };
    }
    ms = Math.max(ms, server.ms);
    versions.add(server.version);
  }
  return { isReachable: true, ms, version: [...versions].join(", ") };
}

function newestFirst<Item>(items: readonly Item[], at: (item: Item) => string): Item[] {
  return [...items].sort((a, b) => Date.parse(at(b)) - Date.parse(at(a)));
}
