import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Entry } from "../log.js";
import { check } from "./check.js";
import { broken, doctored, isSaid, objections } from "./doctor.js";
import { at, Story } from "./story.js";
import { promises } from "./verdict.js";

function story() {
  const story = new Story();
  for (const process of ["a", "b"]) {
    story.hello(process, 0);
    story.beats(process, 10, 20_000);
  }
  const held = story.grant("a", "key", 100);
  story.believe(held, 200, 900);
  story.release(held, 1_000);
  for (const process of ["a", "b"]) story.bye(process, 20_000);
  return story.entries;
}

describe("the log", () => {
  test("an honest history", () => {
    expect(objections(story())).toEqual([]);
  });

  test.each<[what: string, entries: () => Entry[]]>([
    ["a process without a hello", () => doctored(story(), isSaid("b", { e: "hello" }), null)],
    ["two of them", () => [...story(), ...story().filter(isSaid("b", { e: "hello" }))]],
    ["a call that settles twice", () => [...story(), ...story().filter(isSaid("a", { e: "settled", id: 1 }))]],
    [
      "a call that settles, and was never made",
      () => [...story(), { p: "a", t: at(2_000), e: "settled", id: 99, outcome: "done" }],
    ],
    ["two calls with one number", () => doctored(story(), isSaid("a", { e: "call", call: "release" }), { id: 1 })],
    [
      "a call that settles before it begins",
      () => doctored(story(), isSaid("a", { e: "settled", id: 1 }), { t: at(99) }),
    ],
    [
      "belief of a lock that is not known",
      () => doctored(story(), isSaid("a", { e: "belief", t: at(500) }), { lock: "99" }),
    ],
    ["the loss of one", () => [...story(), { p: "a", t: at(2_000), e: "lost", lock: "99", reason: "expired" }]],
    [
      "two locks with one number",
      () => {
        const again = new Story();
        again.grant("b", "other", 2_000);
        const grants = again.entries
          .filter(({ p }) => p === "b")
          .map((entry) => ({ ...entry, p: "a", id: 77 }) as Entry);
        return [...story(), ...grants];
      },
    ],
    [
      "a fault that ends and never began",
      () => [...story(), { p: "nemesis", t: at(1), e: "fault", id: 5, phase: "end", fault: "cut", on: [] }],
    ],
    ["an entry without a time", () => doctored(story(), isSaid("a", { e: "belief", t: at(500) }), { t: Number.NaN })],
  ])("%s", (_, entries) => {
    expect(broken(entries())).toContain("log");
  });
});

describe("the checker", () => {
  test("reads files, whose last line may be cut off", () => {
    const folder = mkdtempSync(join(tmpdir(), "leasehold-check-"));
    try {
      const [a, others] = [join(folder, "a.jsonl"), join(folder, "others.jsonl")];
      const lines = (entries: readonly Entry[]) => entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
      writeFileSync(a, `${lines(story().filter(({ p }) => p === "a"))}{"p":"a","t":`);
      writeFileSync(others, lines(story().filter(({ p }) => p !== "a")));
      const fromFiles = check([a, others]);
      expect(fromFiles.violations).toEqual([]);
      expect(fromFiles.unsure.log).toEqual({ "last lines that were cut off": 1 });
      expect({ ...fromFiles.checked }).toEqual({ ...check(story()).checked });
      writeFileSync(others, "no JSON\n");
      expect(check([a, others]).violations.map(({ text }) => text)).toContainEqual(
        expect.stringMatching(/^line 1 of .*others.jsonl is not JSON/),
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("says of nothing that nothing was compared", () => {
    const { violations, checked } = check([]);
    expect(violations).toEqual([]);
    expect(Object.keys(checked)).toEqual(promises);
    expect(
      Object.values(checked)
        .flatMap((counts) => Object.values(counts))
        .reduce((sum, n) => sum + n, 0),
    ).toBe(0);
  });

  test("counts what it compared", () => {
    const { checked } = check(story());
    expect(checked.P1).toMatchObject({
      "grants against what stood on the key": 1,
      "samples of belief against answers to others": 8,
      "samples of belief against grants of others": 8,
      "samples of belief against what was committed": 8,
    });
    expect(checked.P4).toEqual({ "ends of live grants": 1 });
    expect(checked.P13).toEqual({ calls: 2 });
  });

  test("lists 50 violations of a promise, and counts the others", () => {
    const errors = Array.from(
      { length: 60 },
      (_, n): Entry => ({ p: "a", t: at(n), e: "uncaught", text: `Error ${n}` }),
    );
    const { violations, checked } = check([...story(), ...errors]);
    expect(violations).toHaveLength(50);
    expect(checked.leak["violations that are not listed"]).toBe(10);
  });

  test("shares no code with what it judges", () => {
    const folder = dirname(fileURLToPath(import.meta.url));
    const files = readdirSync(folder).filter(
      (name) => name.endsWith(".ts") && !/\.test\.ts$|^(doctor|story)\.ts$/.test(name),
    );
    expect(files).toContain("check.ts");
    const foreign = files.flatMap((name) => {
      const text = readFileSync(join(folder, name), "utf8");
      const imports = [
        ...text.matchAll(/^(import|export)\b([^;"']*?)\bfrom "([^"]+)"/gm),
        ...text.matchAll(/\b(import)(\()\s*"([^"]+)"/g),
      ];
      return imports
        .filter(([, , what = "", from = ""]) => {
          const isOwn = /^\.\/[\w-]+\.js$/.test(from) || from.startsWith("node:");
          return !isOwn && !(from === "../log.js" && what.trimStart().startsWith("type"));
        })
        .map(([line]) => `${name}: ${line}`);
    });
    expect(foreign).toEqual([]);
  });

  test("takes seconds for a long round, not minutes", () => {
    const story = new Story([], 200_000);
    const processes = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for (const process of processes) {
      story.hello(process, 0);
      story.beats(process, 10, 200_000);
    }
    let ms = 100;
    for (let n = 0; n < 4_000; n += 1) {
      const held = story.grant(processes[n % 8] as string, `key:${n % 4}`, ms);
      story.believe(held, ms + 3, ms + 33, 1);
      story.release(held, ms + 40);
      ms += 45;
    }
    for (const process of processes) story.bye(process, 200_000);
    expect(story.entries.length).toBeGreaterThan(140_000);
    const before = process.cpuUsage();
    expect(check(story.entries).violations).toEqual([]);
    const { user, system } = process.cpuUsage(before);
    // 1.5 s of its own on a slow machine; what grows with the square of the log takes minutes
    expect((user + system) / 1_000).toBeLessThan(20_000);
  });
});
