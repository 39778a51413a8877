import { describe, expect, test } from "vitest";
import type { Entry } from "../log.js";
import { broken, doctored, isSaid, objections } from "./doctor.js";
import { at, Story, wall } from "./story.js";

function story() {
  const story = new Story();
  for (const process of ["a", "b"]) {
    story.hello(process, 0);
    story.beats(process, 10, 20_000);
  }
  story.tell({ p: "nemesis", t: at(5_000), e: "connections", of: "a", count: 3 });
  story.bye("a", 20_000);
  story.kill("b", 20_000);
  return story.entries;
}

describe("leaks", () => {
  test("an honest history", () => {
    expect(objections(story())).toEqual([]);
  });

  test("what is open at the end", () => {
    expect(objections(doctored(story(), isSaid("a", { e: "bye" }), { open: ["socket"] }))).toEqual([
      "leak: a had closed everything, and had still open: socket",
    ]);
  });

  test("an error that nobody caught", () => {
    expect(broken([...story(), { p: "b", t: at(100), e: "uncaught", text: "Error: no\n  at" }])).toEqual(["leak"]);
  });

  test("a process that was killed before it began, and one that never began", () => {
    expect(broken(doctored(story(), isSaid("b", { e: "hello" }), null))).toEqual([]);
    expect(broken(doctored(story(), isSaid("a", { e: "hello" }), null))).toEqual(["log"]);
  });

  test("an end that is none", () => {
    const isExit = (of: string) => (entry: Entry) => entry.e === "exit" && entry.of === of;
    expect(broken(doctored(story(), isSaid("a", { e: "bye" }), null))).toEqual(["leak"]);
    expect(broken(doctored(story(), isExit("a"), { code: 1, isWanted: false }))).toEqual(["leak"]);
    expect(broken(doctored(story(), isExit("b"), { isWanted: false }))).toEqual(["leak"]);
    expect(broken(doctored(story(), isExit("b"), null))).toEqual(["leak"]);
  });

  test("connections, sessions and locks that are left", () => {
    const left = { p: "database", node: "one", e: "row" } as const;
    const connection = { ...left, table: "left connections", query: "select 1" } as const;
    expect(broken([...story(), { ...connection, application: "leasehold a" }])).toEqual(["leak"]);
    expect(broken([...story(), { ...connection, application: "leasehold b" }])).toEqual([]);
    expect(broken([...story(), { ...connection, application: "leasehold ab" }])).toEqual([]);
    const isRound = (entry: Entry) => entry.e === "round";
    const pooled = doctored(story(), isRound, { scene: "session-pooled" });
    expect(broken([...pooled, { ...connection, application: "leasehold a" }])).toEqual([]);
    const session = { ...left, table: "left sessions", sessionId: 100, owner: "host:4100", pid: 9_100 } as const;
    expect(broken([...story(), { ...session, seenAt: wall(20_000) }])).toEqual([]);
    expect(broken([...story(), { ...session, seenAt: wall(22_000) }])).toEqual(["leak"]);
    const lock = { ...left, table: "left locks", classid: 1, objid: 100, pid: 9_100 } as const;
    expect(broken([...story(), { ...session, seenAt: wall(20_000) }, lock])).toEqual(["leak"]);
    expect(broken([...story(), lock])).toEqual([]); // of a session that nobody knows
    const ofPsql = doctored(story(), isSaid("a", { e: "hello" }), { client: "psql" });
    expect(broken([...ofPsql, { ...session, seenAt: wall(20_000) }, lock])).toEqual([]);
  });
});

describe("P11", () => {
  const isCount = isSaid("nemesis", { e: "connections" });

  test("more connections than there may be", () => {
    const four = doctored(story(), isCount, { count: 4 });
    expect(objections(four)).toEqual(["P11: a had 4 connections at 5.000 s, and may have 3"]);
    const cut = { p: "nemesis", e: "fault", id: 7, fault: "silence", on: ["a"], t: at(4_000), phase: "begin" } as const;
    expect(broken([...four, cut])).toEqual([]);
    expect(broken(doctored(four, (entry) => entry.e === "round", { scene: "pooled" }))).toEqual([]);
    expect(broken([...four, { ...cut, on: ["b"] }])).toEqual(["P11"]);
  });

  test("two lockers of a process: one that is being closed, and one that is to be refused", () => {
    const six = doctored(story(), isCount, { count: 6 });
    const call = { p: "a", e: "call", id: 90, t: at(4_900), keys: [], boundMs: 5_000 } as const;
    const settled = { p: "a", e: "settled", id: 90, t: at(5_100), outcome: "done" } as const;
    expect(broken([...six, { ...call, call: "close" }, settled])).toEqual([]);
    const refused = { ...settled, outcome: "error", code: "not-migrated" } as const;
    expect(broken([...six, { ...call, call: "ready", mustFail: "not-migrated" }, refused])).toEqual([]);
    expect(broken([...six, { ...call, call: "ready" }, settled])).toEqual(["P11"]);
  });
});
