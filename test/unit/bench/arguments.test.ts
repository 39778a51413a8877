import { resolve } from "node:path";
import { expect, test } from "vitest";
import { parseBenchArguments } from "../../../bench/arguments.js";

const known = { workloads: ["uncontended", "hot-key"], peers: ["redlock", "etcd3"] };
const parse = (...args: string[]) => parseBenchArguments(args, known);

test("without options everything runs in full", () => {
  expect(parse()).toEqual({ isQuick: false, only: null, peers: null, against: null, json: null, isHelp: false });
});

test("workloads and peers are chosen by name, each once", () => {
  const { only, peers } = parse("--only", "hot-key, uncontended,hot-key", "--peers=etcd3");
  expect(only).toEqual(["hot-key", "uncontended"]);
  expect(peers).toEqual(["etcd3"]);
});

test("no peers at all can be asked for", () => {
  expect(parse("--peers", "none").peers).toEqual([]);
});

test("an unknown name is refused, with the names that there are", () => {
  expect(() => parse("--only", "hot-keys")).toThrow('--only does not know "hot-keys"; it knows uncontended, hot-key');
  expect(() => parse("--peers", "redlock,redis")).toThrow('--peers does not know "redis"; it knows redlock, etcd3');
  expect(() => parse("--only", "")).toThrow('--only does not know ""');
});

test("an unknown option, and a word that is none, are refused", () => {
  expect(() => parse("--fast")).toThrow("--fast");
  expect(() => parse("hot-key")).toThrow("hot-key");
});

test("paths are taken from where npm was called, not from the root that npm changes to", () => {
  const before = process.env.INIT_CWD;
  process.env.INIT_CWD = resolve("/some/where");
  try {
    expect(parse("--json", "out.json").json).toBe(resolve("/some/where/out.json"));
    expect(parse("--against", "../other").against).toBe(resolve("/some/other"));
    expect(parse("--against", "/other").against).toBe(resolve("/other"));
  } finally {
    if (before === undefined) delete process.env.INIT_CWD;
    else process.env.INIT_CWD = before;
  }
  expect(() => parse("--json", "")).toThrow("--json needs a path");
});
