import { parseArgs } from "node:util";
import { nearest } from "../errors/option-checks.js";
import { quoteArgument } from "./quote-argument.js";
import { UsageError } from "./usage-error.js";

/** An option of a command, as its help shows it. */
export interface OptionDefinition {
  /** The letter of its short form, as in `-q`. */
  readonly short?: string;
  /** A name for its value, such as `<duration>`. Left out for a flag. */
  readonly value?: string;
  /** For a value that may be left out: what follows the option is its value if this accepts it. `--wait=30s` always gives one. */
  readonly mayBe?: (text: string) => boolean;
  /** Whether it may be given several times. */
  readonly isRepeatable?: boolean;
  readonly text: string;
}

export type OptionTable = Readonly<Record<string, OptionDefinition>>;

/** What a command accepts. */
export interface Shape {
  readonly options: OptionTable;
  /** The names of its arguments besides options. All are required, except one in brackets. */
  readonly positionals: readonly string[];
  /** Whether a command to run follows after `--`. */
  readonly takesCommand?: boolean;
}

/** The arguments of a command. */
export interface Arguments {
  readonly positionals: readonly string[];
  /** The command to run; null when there is none, as in all commands but `run`. */
  readonly command: readonly string[] | null;
  has(option: string): boolean;
  /** The last value given. */
  text(option: string): string | undefined;
  texts(option: string): readonly string[];
}

/**
 * Behind `--` there are no options, so an argument there may begin with a dash. Throws UsageError for an unknown option, for too many values,
 * and for a missing one.
 */
export function readArguments(args: readonly string[], shape: Shape): Arguments {
  const { options } = shape;
  const end = args.indexOf("--");
  const own = end < 0 ? args : args.slice(0, end);
  const { tokens } = parseArgs({
    args: [...own],
    options: Object.fromEntries(
      Object.entries(options).map(([name, { short, value, mayBe }]) => [
        name,
        {
          type: value === undefined || mayBe !== undefined ? "boolean" : "string",
          ...(short === undefined ? {} : { short }),
        },
      ]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string[]>();
  const positionals: string[] = [];
  let mayBe: OptionDefinition["mayBe"];
  for (const token of tokens) {
    if (token.kind === "positional") {
      const last = [...values.keys()].at(-1);
      if (last !== undefined && mayBe?.(token.value)) values.set(last, [token.value]);
      else positionals.push(token.value);
    }
    mayBe = undefined;
    if (token.kind !== "option") continue;
    const value = checkOption(token, shape);
    if (token.value === undefined) mayBe = options[token.name]?.mayBe;
    values.set(token.name, [...(values.get(token.name) ?? []), value]);
  }
  for (const [name, given] of values) {
    if (given.length > 1 && options[name]?.value !== undefined && !options[name]?.isRepeatable) {
      throw new UsageError(`--${name} is given ${given.length} times`);
    }
  }
  return {
    ...withRest(positionals, end < 0 ? null : args.slice(end + 1), shape),
    has: (option) => values.has(option),
    text: (option) => values.get(option)?.at(-1),
    texts: (option) => values.get(option) ?? [],
  };
}

/** Adds what follows the first `--`: arguments, or the command of `run`, or `<key> -- <command>` where the key is still missing. */
function withRest(
  positionals: readonly string[],
  rest: readonly string[] | null,
  { takesCommand = false }: Shape,
): Pick<Arguments, "positionals" | "command"> {
  if (!takesCommand) return { positionals: [...positionals, ...(rest ?? [])], command: null };
  const [key, separator, ...command] = rest ?? [];
  if (positionals.length === 0 && key !== undefined && separator === "--") return { positionals: [key], command };
  return { positionals, command: rest };
}

function checkOption({ name, rawName, value, inlineValue }: Token, { options, positionals }: Shape): string {
  const definition = Object.hasOwn(options, name) ? options[name] : undefined;
  if (definition === undefined) {
    const near = rawName.startsWith("--") ? nearest(name, Object.keys(options)) : null;
    const advice = near === null ? "--help shows the options." : `Did you mean --${near}?`;
    const argument = rawName.startsWith("--") ? undefined : /key|pattern/.exec(positionals[0] ?? "")?.[0];
    const dash = argument === undefined ? "" : ` A ${argument} that begins with - follows behind --.`;
    throw new UsageError(`${rawName}: there is no such option. ${advice}${dash}`);
  }
  if (definition.value === undefined || (definition.mayBe !== undefined && value === undefined)) {
    if (value === undefined) return "";
    throw new UsageError(`--${name} takes no value, got ${quoteArgument(value)}`);
  }
  // If the value looks like an option, the value was forgotten. --name=-value gives a value with a dash.
  const isForgotten = value?.startsWith("-") && inlineValue !== true;
  if (value !== undefined && value !== "" && !isForgotten) return value;
  throw new UsageError(`${rawName} needs a value: ${rawName} ${definition.value}`);
}

interface Token {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}
