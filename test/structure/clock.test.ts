// A locker's time is that of its backend: what its parts imported from the system's clock would not move with a test's.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { sourceFiles } from "./imports.js";

const ofTheLocker = /^(store|observe|claim|hold|acquire|locker)\//;
/** What does not tell the time. */
const harmless = [
  "Clock",
  "Instant",
  "Timer",
  "Due",
  "after",
  "driftMarginMs",
  "msBetween",
  "RequestTimeout",
  "withTimeoutOf",
];

/** What a file imports from the modules that know the system's clock. */
function imported(text: string): string[] {
  const clauses = text.matchAll(/import (?:type )?\{([^}]*)\} from "[^"]*\/runtime\/(?:clock|timeout)\.js"/g);
  return [...clauses].flatMap(([, names = ""]) => names.split(",").map((name) => name.replace("type ", "").trim()));
}

test("no part of a locker reads the system's clock", () => {
  const files = sourceFiles().filter((file) => ofTheLocker.test(file));
  const found = files.flatMap((file) =>
    imported(readFileSync(`src/${file}`, "utf8"))
      .filter((name) => name !== "" && !harmless.includes(name))
      .map((name) => `${file}: ${name}`),
  );
  expect(files.length).toBeGreaterThan(30);
  expect(found).toEqual(["locker/create-locker.ts: systemClock"]); // which gives it to the stores
});

test("such an import would be found", () => {
  expect(imported('import { after, type Clock, now } from "../runtime/clock.js";')).toEqual(["after", "Clock", "now"]);
});

test("no microtask is asked for that Jest's fake timers would hold up", () => {
  const written = sourceFiles().filter((file) => !file.endsWith(".generated.ts"));
  const calls = written.filter((file) => /\bqueueMicrotask\(/.test(readFileSync(`src/${file}`, "utf8")));
  expect(calls).toEqual([]); // runtime/soon.ts is for that
});
