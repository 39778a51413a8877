import type { RetryStrategy } from "../api/retry.js";
import { backoff } from "../config/backoff.js";
import { isPlainObject } from "../config/metadata.js";
import { InvalidOptionError } from "../errors/errors.js";
import type { Kind, Table } from "./kind.js";
import { choice, duration, fromJson, part, times } from "./kinds.js";
import { readOptions, schemaOf } from "./table.js";

const strategies = ["fixed", "linear", "exponential"] as const;
type Strategy = (typeof strategies)[number];

/** What each is made from, as in code. */
const delays = { fixed: "delayMs", linear: "stepMs", exponential: "firstMs" } as const;

const delay = duration(1);

/** `{ kind: "exponential", firstMs: "50ms", retries: 5 }`: a strategy of `backoff`, for a configuration has no functions. */
export const retry: Kind<RetryStrategy> = {
  schema: { oneOf: strategies.map((strategy) => schemaOf(tableOf(strategy), "kind", delays[strategy])) },
  read(value, path, context) {
    if (!isPlainObject(value)) {
      const expected = 'an object such as { kind: "exponential", firstMs: "100ms", retries: 8 }';
      throw new InvalidOptionError({ option: path, expected, received: value });
    }
    const strategy = choice(...strategies).read(value.kind, `${path}.kind`, context);
    const name = delays[strategy];
    const { kind, [name]: _, ...options } = readOptions(tableOf(strategy), value, path, context);
    return backoff[strategy](delay.read(value[name], `${path}.${name}`, context), options);
  },
  fromText: fromJson,
};

function tableOf(strategy: Strategy): Table<Readonly<Record<string, unknown>>> {
  return {
    kind: { kind: choice(strategy), about: "How the delays grow." },
    [delays[strategy]]: { kind: delay, about: "The first delay." },
    retries: {
      kind: times,
      about: "How often to try again before RetriesExhaustedError. Default Infinity.",
    },
    maxDelayMs: { kind: delay, about: "No delay is longer. Default 30 s, or the first delay if that is longer." },
    jitter: { kind: part, about: "Which part of each delay is random. Default 0.2." },
  };
}
