import { type Command, connectionOptions, jsonOption } from "../command.js";
import { type Answer, type Database, withDatabases } from "../database.js";
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
  notes:
    "Changes nothing. Exit code 1 when there is a problem; warnings alone are no reason to fail. With instances, all of them are looked at.",
  options: { ...connectionOptions, ...jsonOption },
  examples: [
    { text: "Check the database before a deployment goes on", call: "leasehold doctor" },
    { text: "Keep the findings", call: "leasehold doctor --json > doctor.json" },
  ],
  positionals: [],
  async run(args) {
    const look = async (database: Database): Promise<Examined> => ({
      name: database.name,
      findings: findingsIn(await collectFacts(database)),
    });
    const { answers, isComplete } = await withDatabases(args, "doctor", look, { acceptsMissing: true });
    if (args.has("json")) {
      const reports = answers.map(toData);
      writeJson(answers[0]?.instance === null ? reports[0] : reports);
    } else writeOut(answers.map((answer) => `${report(answer, styleFor(process.stdout))}\n`).join("\n"));
    return isComplete && !answers.some(({ value }) => hasProblem(value.findings)) ? SUCCESS : FAILURE;
  },
};

interface Examined {
  readonly name: string;
  readonly findings: readonly Finding[];
}

function toData({ instance, value: { name, findings } }: Answer<Examined>): object {
  const data = { database: name, findings, has_problem: hasProblem(findings) };
  return instance === null ? data : { instance, ...data };
}

const meanings = { ok: "good", warning: "warning", problem: "bad" } as const;

function report({ instance, value: { name, findings } }: Answer<Examined>, style: Style): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, level, message, advice }) => [
    `${style(meanings[level], level.padEnd(7))}  ${check.padEnd(width)}  ${printable(message)}`,
    ...(advice === null ? [] : [`${" ".repeat(9 + width)}  -> ${printable(advice)}`]),
  ]);
  const count = (wanted: Finding["level"]) => {
    const { length } = findings.filter(({ level }) => level === wanted);
    return `${length} ${wanted}${length === 1 ? "" : "s"}`;
  };
  const title = instance === null ? name : `${instance}: ${name}`;
  return [printable(title), "", ...lines, "", `${count("problem")}, ${count("warning")}`].join("\n");
}
