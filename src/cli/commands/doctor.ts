import { type Command, connectionOptions, jsonOption } from "../command.js";
import { type Database, withDatabase } from "../database.js";
import { collectFacts } from "../doctor/facts.js";
import type { Finding } from "../doctor/finding.js";
import { findingsIn, hasProblem } from "../doctor/findings.js";
import { FAILURE, SUCCESS } from "../exit-codes.js";
import { writeJson, writeOut } from "../output.js";
import { printable } from "../printable.js";
import { type Style, styleFor } from "../style.js";

export const doctor: Command = {
  name: "doctor",
  summary: "look for what endangers locks, and say what to do about it",
  usage: "[options]",
  notes: "Changes nothing. Exit code 1 when there is a problem; warnings alone are no reason to fail.",
  options: { ...connectionOptions, ...jsonOption },
  examples: [
    { text: "Check the database before a deployment goes on", call: "leasehold doctor" },
    { text: "Keep the findings", call: "leasehold doctor --json > doctor.json" },
  ],
  positionals: [],
  async run(args) {
    const look = async (database: Database) => ({
      name: database.name,
      findings: findingsIn(await collectFacts(database)),
    });
    const { name, findings } = await withDatabase(args, look, { acceptsMissing: true });
    if (args.has("json")) writeJson({ database: name, findings, has_problem: hasProblem(findings) });
    else writeOut(`${report(name, findings, styleFor(process.stdout))}\n`);
    return hasProblem(findings) ? FAILURE : SUCCESS;
  },
};

const meanings = { ok: "good", warning: "warning", problem: "bad" } as const;

function report(name: string, findings: readonly Finding[], style: Style): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, level, message, advice }) => [
    `${style(meanings[level], level.padEnd(7))}  ${check.padEnd(width)}  ${printable(message)}`,
    ...(advice === null ? [] : [`${" ".repeat(9 + width)}  -> ${printable(advice)}`]),
  ]);
  const count = (wanted: Finding["level"]) => {
    const { length } = findings.filter(({ level }) => level === wanted);
    return `${length} ${wanted}${length === 1 ? "" : "s"}`;
  };
  return [printable(name), "", ...lines, "", `${count("problem")}, ${count("warning")}`].join("\n");
}
