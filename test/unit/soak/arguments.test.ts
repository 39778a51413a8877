import { resolve } from "node:path";
import { expect, test } from "vitest";
import { parseSoakArguments } from "../../soak/arguments.js";

const parse = (...args: string[]) => parseSoakArguments(args);

test("without options it is an hour on a server of its own, with a new seed", () => {
  expect(parse()).toMatchObject({
    minutes: 60,
    rate: 80,
    url: null,
    out: null,
    from: null,
    isDrawn: false,
    isHelp: false,
  });
  expect(parse().seed).not.toBe(parse().seed);
});

test("what is given is taken", () => {
  const url = "postgres://postgres@localhost/postgres";
  expect(parse("--minutes", "1.5", "--rate=200", "--seed", "7", "--url", url, "--out", "/a/b.json")).toMatchObject({
    minutes: 1.5,
    rate: 200,
    seed: 7,
    url,
    out: "/a/b.json",
  });
});

test.each([
  [["--minutes", "0"], '--minutes is a number of 0.25 to 10,080, not "0"'],
  [["--minutes", "long"], '--minutes is a number of 0.25 to 10,080, not "long"'],
  [["--minutes="], '--minutes is a number of 0.25 to 10,080, not ""'],
  [["--rate", "-1"], "--rate"],
  [["--seed", "1.5"], '--seed is an integer of 0 to 4,294,967,295, not "1.5"'],
  [["--url", "localhost"], "--url is an address such as postgres://"],
  [["--out", ""], "--out needs a path"],
  [["--fast"], "--fast"],
  [["60"], "60"],
  [["--draw", "--minutes", "2"], "--draw needs --minutes 10 or more, not 2"],
  [["--from", "run.json", "--minutes", "60"], "--minutes would change nothing"],
])("%j is refused", (args, message) => {
  expect(() => parse(...args)).toThrow(message);
});

test("a wrong address is not shown: it may have a password", () => {
  expect(() => parse("--url", "mysql://root:secret@db/app")).toThrow(/^((?!secret).)*$/);
});

test("a run that is over can be judged and drawn again", () => {
  expect(parse("--from", "/a/run.json", "--draw")).toMatchObject({ from: "/a/run.json", isDrawn: true });
});

test("paths are taken from where npm was called", () => {
  const before = process.env.INIT_CWD;
  process.env.INIT_CWD = resolve("/some/where");
  try {
    expect(parse("--out", "run.json").out).toBe(resolve("/some/where/run.json"));
  } finally {
    if (before === undefined) delete process.env.INIT_CWD;
    else process.env.INIT_CWD = before;
  }
});
