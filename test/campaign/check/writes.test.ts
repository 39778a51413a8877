import { describe, expect, test } from "vitest";
import { broken, doctored, isRowOf, objections } from "./doctor.js";
import { Story, wall } from "./story.js";

function story() {
  const story = new Story();
  for (const process of ["a", "b", "c"]) story.hello(process, 0);
  const first = story.grant("a", "account", 100);
  story.write(first, 200, 1_000, 1_010);
  story.write(first, 300, 1_010, 990);
  story.release(first, 400);
  const second = story.grant("b", "account", 500);
  story.write(second, 600, 990, 1_000);
  story.write(second, 650, 1_000, 1_005);
  story.release(second, 700);
  story.account("account", 1_000, 1_005);
  // readers who write under their guards, and one who comes after them
  const terms = { mode: "shared", weight: 1 } as const;
  const one = story.grant("a", "shared", 1_000, { terms });
  const two = story.grant("b", "shared", 1_100, { terms });
  story.write(one, 1_200, 0, 0);
  story.release(two, 1_300);
  story.release(one, 1_400);
  const alone = story.grant("c", "shared", 1_500);
  story.release(alone, 1_600);
  for (const process of ["a", "b", "c"]) story.bye(process, 3_000);
  return { entries: story.entries, first, second, one, two, alone };
}

const isWrite = (ms: number) => isRowOf("writes", ({ at }) => at === wall(ms));

describe("P3", () => {
  test("an honest history", () => {
    expect(objections(story().entries)).toEqual([]);
  });

  test("a guarded write that was committed after the next grant", () => {
    const { entries } = story();
    expect(objections(doctored(entries, isWrite(300), { committedAt: wall(550) }))).toEqual([
      expect.stringMatching(/^P3: a committed a write of "account" with fence 1010 at 0.550 s, after fence 1020/),
    ]);
    // before it, however late
    expect(broken(doctored(entries, isWrite(300), { committedAt: wall(501.05) }))).toEqual([]);
  });

  test("a guarded write under a share that was committed after a grant alone, not after another share", () => {
    const { entries } = story();
    expect(broken(doctored(entries, isWrite(1_200), { committedAt: wall(1_450) }))).toEqual([]);
    expect(broken(doctored(entries, isWrite(1_200), { committedAt: wall(1_550) }))).toEqual(["P3"]);
    expect(broken(doctored(entries, isWrite(1_200), { isShare: false }))).toEqual(["P3"]);
  });

  test("a write with a fence that nobody was granted", () => {
    expect(objections(doctored(story().entries, isWrite(600), { fence: "1015" }))).toContainEqual(
      expect.stringMatching(/^P3: b wrote "account" with fence 1015, which was never granted/),
    );
  });

  test("a write that is lost", () => {
    const lost = doctored(story().entries, isWrite(600), { was: 1_010, value: 1_020 });
    expect(objections(lost)).toContainEqual(
      expect.stringMatching(/^P3: b made 1020 of 1010 in "account", where 990 stood: a write is lost/),
    );
    expect(objections(lost)).toContainEqual(
      expect.stringMatching(/^P3: "account" was 1010 once, and 2 writes were made of that/),
    );
    expect(
      broken(
        doctored(
          story().entries,
          isRowOf("accounts", () => true),
          { value: 995 },
        ),
      ),
    ).toEqual(["P3"]);
  });

  test("a write that is lost, where no clock tells the order", () => {
    const { entries } = story();
    entries.push({ p: "nemesis", t: 1, e: "server-clock", node: "one", offset: 1_000_000 });
    expect(objections(entries)).toEqual([]);
    expect(broken(doctored(entries, isWrite(600), { was: 1_010, value: 1_020 }))).toEqual(["P3"]);
  });

  test("a stale writer, where no clock tells the order", () => {
    const { entries, first } = story();
    entries.push({ p: "nemesis", t: 1, e: "server-clock", node: "one", offset: 1_000_000 });
    const stale = doctored(entries, isWrite(650), { fence: first.grant.fence });
    expect(objections(stale)).toEqual([]); // of 1,000, which the account had twice: not sure
    const sure = doctored(
      entries,
      isRowOf("accounts", () => true),
      { openingBalance: 1_000 },
    );
    const shifted = sure.map((entry) => (isWrite(600)(entry) ? { ...entry, value: 1_001 } : entry));
    const after = shifted.map((entry) =>
      isWrite(650)(entry) ? { ...entry, was: 1_001, fence: first.grant.fence } : entry,
    );
    expect(objections(after)).toContainEqual(expect.stringMatching(/onto what b had written with the larger fence/));
  });
});
