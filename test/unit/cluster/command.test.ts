// What `npm run cluster` may be told, what it says is missing, and how it reports.
import { expect, test } from "vitest";
import { help, parseClusterArguments } from "../../cluster/arguments.js";
import { faults } from "../../cluster/faults.js";
import type { FaultFacts } from "../../cluster/history.js";
import { type FaultReport, longestGap, measure } from "../../cluster/measure.js";
import { howToInstall, missingPackages } from "../../cluster/programs.js";
import { summaryOf, tableOf, writeInto } from "../../cluster/report.js";
import { readPage } from "../../support/pages.js";
import { belief, grant, innocent, loss } from "./histories.js";

const known = ["kill", "freeze"];
const parse = (...args: string[]) => parseClusterArguments(args, known);

test("without options every fault is caused in both modes", () => {
  expect(parse()).toMatchObject({ modes: ["async", "sync"], faults: known, isToBeWritten: false, isHelp: false });
  expect(parse("--async", "--sync").modes).toEqual(["async", "sync"]);
});

test("a mode, faults in the order given, a seed", () => {
  expect(parse("--sync", "--only", "freeze, kill,freeze", "--seed", "7")).toMatchObject({
    modes: ["sync"],
    faults: ["freeze", "kill"],
    seed: 7,
  });
  expect(parse("--async").modes).toEqual(["async"]);
});

test.each([
  [["--only", "kil"], '--only does not know "kil"; it knows kill, freeze'],
  [["--only", ""], '--only does not know ""'],
  [["--seed", "x"], '--seed is a whole number of 0 or more, not "x"'],
  [["--seed", "1.5"], "--seed is a whole number"],
  [["--seed", ""], "--seed is a whole number"],
  [["--write", "--sync"], "--write needs a full run"],
  [["--write", "--only", "kill"], "--write needs a full run"],
  [["--fast"], "--fast"],
  [["kill"], "kill"],
])("%j is refused", (args, message) => {
  expect(() => parse(...args)).toThrow(message);
});

test("--write is for a full run, and help names every option", () => {
  expect(parse("--write").isToBeWritten).toBe(true);
  for (const option of ["--async", "--sync", "--only", "--seed", "--write", "--help"]) expect(help).toContain(option);
});

test("what is missing is named once, by its package, with the command that installs it", () => {
  expect(missingPackages({ etcd: "/usr/bin/etcd" })).toEqual(["patroni", "haproxy", "postgresql"]);
  expect(howToInstall(["haproxy"])).toMatch(/^This package is missing: haproxy\..*RUNLEVEL=1.* haproxy$/s);
});

test("the longest gap begins with the last grant before the fault, and ends with the run at the latest", () => {
  const facts: FaultFacts = { mode: "sync", mayLose: true, from: 10_000, to: 20_000 };
  const at = (...times: readonly number[]) => times.map((at) => grant({ at }));
  expect(longestGap(at(9_900, 10_100, 14_100, 15_000, 19_000), "haproxy", facts)).toBe(4_000);
  expect(longestGap(at(9_900, 19_500), "haproxy", facts)).toBe(9_600);
  expect(longestGap(at(9_900, 11_000), "haproxy", facts)).toBe(9_000);
  expect(longestGap(at(9_900, 11_000), "hosts", facts)).toBe(11_000);
});

const report: FaultReport = measure(
  faults[0] as (typeof faults)[number],
  { mode: "async", mayLose: true, from: 10, to: 20_010 },
  {
    grants: [
      grant({ key: "long:one:30s:1", at: 1 }),
      grant({ key: "long:two:60s:1", at: 1, worker: "two" }),
      grant({ key: "long:three:30s:1", at: 30 }),
      grant({ key: "leader:jobs", at: 40 }),
    ],
    beliefs: [
      belief(1, 15, { key: "long:one:30s:1" }),
      belief(1, 90, { key: "long:two:60s:1", worker: "two" }),
      belief(30, 90, { key: "long:three:30s:1" }),
    ],
    losses: [loss(15, { key: "long:one:30s:1", at: 1 }), loss(50, { key: "hot:1" })],
    calls: [],
    attempts: [],
    stalls: [],
  },
  {
    ...innocent,
    counts: { exclusion: 0, fences: 0, "lost updates": 0, "stale commits": 0, money: 0, answers: 0, settling: 0 },
  },
);

test("locks are kept or lost that were held when the fault began, and their holders were told; later leaders are counted", () => {
  expect(report).toMatchObject({
    kept: { "30": { kept: 0, of: 1 }, "60": { kept: 1, of: 1 } },
    reasons: { expired: 1 },
    leaders: 1,
  });
});

test("a report is a row of a table, and each promise has its count", () => {
  const [head = "", rule = "", row = "", ...rest] = tableOf([report]).split("\n");
  expect(rest).toEqual([]);
  for (const line of [rule, row]) expect(line.split("|")).toHaveLength(head.split("|").length);
  expect(row).toContain("| kill | async |");
  expect(row).toContain("| 0 of 1 | 1 of 1 | expired 1 |");
  expect(summaryOf([report, report], 2.4, "a machine")).toMatch(
    /^0 calls, 8 grants,.* in 2 minutes \(a machine\)\. Violations: exclusion 0, fences 0,/,
  );
});

test("a table replaces the one in the guide", () => {
  const { text } = readPage("docs/guides/high-availability.md");
  const once = writeInto(text, "| new |");
  expect(once).toContain("| new |\n<!--");
  expect(writeInto(once, "| newer |")).not.toContain("| new |");
  expect(() => writeInto("no block", "| new |")).toThrow("no block between");
});
