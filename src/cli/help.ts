import type { OptionTable } from "./arguments.js";
import { type Command, helpOption } from "./command.js";
import { commands } from "./commands.js";

/** The help of `leasehold` itself. */
export async function overview(): Promise<string> {
  const all = await Promise.all(Object.values(commands).map((load) => load()));
  return `Locks that live in Postgres.

Usage: leasehold <command> [options]

Commands:
${twoColumns(all.map(({ name, summary }) => [name, summary]))}

Options:
${twoColumns([
  ["--help", "print this help, or that of a command"],
  ["--version", "print the version"],
])}

The database is that of LEASEHOLD_DATABASE_URL or DATABASE_URL, or of --url.
`;
}

/** The help of one command. */
export function helpOf({ name, summary, usage, notes, options }: Command): string {
  const call = ["leasehold", name, usage].filter((part) => part !== "").join(" ");
  const rows = Object.entries({ ...options, ...helpOption } satisfies OptionTable).map(
    ([option, { value, text }]) => [`--${option}${value === undefined ? "" : ` ${value}`}`, text] as const,
  );
  return `${summary}

Usage: ${call}

Options:
${twoColumns(rows)}
${notes === undefined ? "" : `\n${notes}\n`}`;
}

function twoColumns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
