import type { OptionTable } from "./arguments.js";
import { type Command, callOf, optionCall, optionsOf, topOptions } from "./command.js";
import { allCommands } from "./commands.js";

/** The help of `leasehold` itself. */
export async function overview(): Promise<string> {
  return `Locks that live in Postgres.

Usage: leasehold <command> [options]

Commands:
${twoColumns((await allCommands()).map(({ name, summary }) => [name, summary]))}

Options:
${optionRows(topOptions)}

The database is that of LEASEHOLD_DATABASE_URL or DATABASE_URL, or of --url.
`;
}

/** The help of one command. */
export function helpOf(command: Command): string {
  const { summary, notes } = command;
  return `${summary}

Usage: ${callOf(command)}

Options:
${optionRows(optionsOf(command))}
${notes === undefined ? "" : `\n${notes}\n`}
Examples:
${examplesOf(command).replaceAll(/^(?=.)/gm, "  ")}`;
}

/** The examples of a command, as a shell takes them. */
export function examplesOf({ examples }: Command): string {
  return examples.map(({ text, call }) => `# ${text}\n${call}\n`).join("\n");
}

/** The examples of all commands, in the order of the help. */
export async function allExamples(): Promise<string> {
  return (await allCommands()).map(examplesOf).join("\n");
}

function optionRows(options: OptionTable): string {
  return twoColumns(
    Object.entries(options).map(([name, option]) => {
      const indent = option.short === undefined ? "    " : "";
      return [indent + optionCall(name, option), option.text];
    }),
  );
}

function twoColumns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
