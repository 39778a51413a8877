// The results of many rounds as tables, for docs/proof.md.
import type { RoundResult } from "./results.js";
import { scenes } from "./scenes.js";

const moments = ["before sending", "in flight", "after the commit", "before the answer was read", "any"] as const;

export function report(results: readonly RoundResult[]): string {
  const played = results.filter(({ obstacle }) => obstacle === undefined);
  const violations = played.flatMap(({ violations }) => violations);
  const seconds = played.reduce((sum, one) => sum + one.seconds, 0);
  const nodes = [...new Set(played.map(({ node }) => node))].join(", ");
  return [
    `${played.length} rounds, ${(seconds / 3_600).toFixed(1)} hours of faults, Node ${nodes}, seeds ${[...new Set(played.map(({ seed }) => seed))].join(", ")}: **${violations.length} violations**.`,
    scenesTable(played),
    checksTable(played),
    faultsTable(played),
    callsTable(played),
  ].join("\n\n");
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, index) => (index === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

function scenesTable(played: readonly RoundResult[]): string {
  const rows = scenes.map(({ name, what }) => {
    const its = played.filter(({ scene }) => scene === name);
    return [`${name}: ${what}`, its.length, its.reduce((sum, { violations }) => sum + violations.length, 0)];
  });
  return `### Scenes\n\n${table(["scene", "rounds", "violations"], rows)}`;
}

function checksTable(played: readonly RoundResult[]): string {
  const sums = sum(played.map(({ checked }) => checked));
  return `### What was compared\n\n${table(["check", "times"], Object.entries(sums))}`;
}

function faultsTable(played: readonly RoundResult[]): string {
  const sums = sum(played.map(({ faults }) => faults));
  const names = [...new Set(Object.keys(sums).map((name) => name.split("|")[0] as string))].sort();
  const rows = names.map((name) => {
    const counts = moments.map((moment) =>
      Object.entries(sums).reduce((all, [key, n]) => (key.startsWith(`${name}|${moment}|`) ? all + n : all), 0),
    );
    return [name, ...counts];
  });
  const functions = Object.entries(
    Object.entries(sums).reduce<Record<string, number>>((all, [key, n]) => {
      const [, moment, during] = key.split("|");
      if (moment !== "any" && during) all[during] = (all[during] ?? 0) + n;
      return all;
    }, {}),
  ).sort(([, a], [, b]) => b - a);
  return [
    "### Faults, and the moment of a statement that they met",
    table(["fault", ...moments.map((moment) => (moment === "any" ? "no certain one" : moment))], rows),
    "Statements that were met, by the function that they call:",
    table(["function", "times"], functions),
  ].join("\n\n");
}

function callsTable(played: readonly RoundResult[]): string {
  const sums = sum(played.map(({ calls }) => calls));
  const names = [...new Set(Object.keys(sums).map((name) => name.split("|")[0] as string))].sort();
  const rows = names.map((name) => {
    const of = (test: (outcome: string) => boolean) =>
      Object.entries(sums).reduce((all, [key, n]) => {
        const [call, outcome = ""] = key.split("|");
        return call === name && test(outcome) ? all + n : all;
      }, 0);
    const isError = (outcome: string) => outcome !== "done" && outcome !== "nothing";
    const codes = [...new Set(Object.keys(sums).filter((key) => key.startsWith(`${name}|`)))].map(
      (key) => key.split("|")[1] ?? "",
    );
    return [
      name,
      of((o) => o === "done"),
      of((o) => o === "nothing"),
      of(isError),
      codes.filter(isError).sort().join(", "),
    ];
  });
  return `### Calls\n\n${table(["call", "done", "nothing (taken, not held)", "error", "with these codes"], rows)}`;
}

function sum(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const one of all) for (const [name, n] of Object.entries(one)) sums[name] = (sums[name] ?? 0) + n;
  return sums;
}
