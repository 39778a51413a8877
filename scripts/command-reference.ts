import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { OptionTable } from "../src/cli/arguments.js";
import { type Command, callOf, commonOptions, connectionOptions, jsonOption, optionCall } from "../src/cli/command.js";
import { allCommands } from "../src/cli/commands.js";
import { examplesOf } from "../src/cli/help.js";
import { manPage } from "../src/cli/man-page.js";

export const root: string = fileURLToPath(new URL("..", import.meta.url));
const page = "docs/reference/command-line.md";
const begin = "<!-- From here to the end: npm run build:reference -->\n";

/** What is made from the tables of the command line, by the path of the file, as it should be. */
export async function referenceFiles(): Promise<ReadonlyMap<string, string>> {
  const commands = await allCommands();
  const [narrative = ""] = readFileSync(join(root, page), "utf8").split(begin);
  return new Map([
    ["man/leasehold.1", manPage(commands)],
    [page, `${narrative}${begin}${reference(commands)}`],
  ]);
}

function reference(commands: readonly Command[]): string {
  const shared = { ...connectionOptions, ...jsonOption, ...commonOptions };
  return `
## Reference

Options that all commands have, as far as they use a database:

${table(shared)}
${commands.map((command) => section(command, shared)).join("\n")}`;
}

function section(command: Command, shared: OptionTable): string {
  const { name, summary, notes, options } = command;
  const own = Object.fromEntries(Object.entries(options).filter(([option]) => !(option in shared)));
  return [
    `### leasehold ${name}`,
    `\`${callOf(command)}\``,
    `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`,
    ...(Object.keys(own).length === 0 ? [] : [table(own).trimEnd()]),
    ...(notes === undefined ? [] : [`\`\`\`text\n${notes}\n\`\`\``]),
    `\`\`\`sh\n${examplesOf(command)}\`\`\``,
    "",
  ]
    .join("\n\n")
    .replace(/\n\n$/, "\n");
}

function table(options: OptionTable): string {
  const rows = Object.entries(options).map(
    ([name, option]) => `| \`${optionCall(name, option)}\` | ${option.text.replaceAll("|", "\\|")} |\n`,
  );
  return `| option | |\n|---|---|\n${rows.join("")}`;
}
