import { describe, expect, test } from "vitest";
import type { Limit } from "../log.js";
import { check } from "./check.js";
import { broken, doctored, isRowOf, isSaid, objections } from "./doctor.js";
import { at, Story } from "./story.js";

/** Two grants on one server, a third one after a failover. */
function story(limits: readonly Limit[] = []) {
  const story = new Story(limits);
  for (const process of ["a", "b"]) story.hello(process, 0);
  const first = story.grant("a", "key", 100, { fence: "100" });
  story.release(first, 200);
  const second = story.grant("b", "key", 300, { fence: "200" });
  story.release(second, 400);
  story.tell({ p: "nemesis", t: at(1_000), e: "primary", node: "two", isLagging: true });
  story.node = "two";
  const third = story.grant("a", "key", 2_000, { fence: String((1n << 48n) + 10n) });
  story.release(third, 2_100);
  for (const process of ["a", "b"]) story.bye(process, 3_000);
  return { entries: story.entries, first, second, third };
}

describe("P2", () => {
  test("an honest history", () => {
    const { entries } = story();
    expect(objections(entries)).toEqual([]);
    expect(check(entries).checked.P2).toEqual({
      "pairs of fences in the order of rows": 2,
      "pairs of fences in real time": 2,
    });
  });

  test("a fence that does not rise in the rows", () => {
    const { entries, second } = story();
    const isGrant = isRowOf("grants", ({ id }) => id === second.first.id);
    expect(objections(doctored(entries, isGrant, { fence: "99" }))).toContainEqual(
      expect.stringMatching(/^P2: "key" was granted to fence 99 .* after a grant with a larger fence, fence 100/),
    );
    expect(broken(doctored(entries, isGrant, { fence: "100" }))).toContain("P5"); // the same grant, back to life
  });

  test("a fence that does not rise over a failover, whatever the limits", () => {
    for (const limits of [[], ["async-failover"], ["old-primary"]] as const) {
      const { entries, third } = story(limits);
      const isGrant = isRowOf("grants", ({ id }) => id === third.first.id);
      expect(broken(doctored(entries, isGrant, { fence: "150" }))).toContain("P2");
    }
  });

  test("a fence that does not rise in real time, for there are no rows of it", () => {
    const withoutRows = (limits: readonly Limit[]) => story(limits).entries.filter((entry) => entry.p !== "database");
    const isAnswer = isSaid("a", { e: "settled", t: at(2_002) });
    const smaller = (fence: string) => ({ grants: [{ ...story().third.grant, fence }] });
    expect(objections(doctored(withoutRows([]), isAnswer, smaller("150")))).toEqual([
      expect.stringMatching(/^P2: lock 3 of a \(fence 150\) asked for "key" at 2.000 s, after lock 2 of b/),
    ]);
    expect(broken(doctored(withoutRows([]), isAnswer, smaller("200")))).toEqual(["P2"]);
    // whoever asked before that may have been granted it before that
    const isCall = isSaid("a", { e: "call", t: at(2_000) });
    const both = doctored(doctored(withoutRows([]), isAnswer, smaller("150")), isCall, { t: at(299) });
    expect(broken(both)).toEqual([]);
  });

  test("a cut-off old primary that goes on in its own epoch", () => {
    for (const limits of [[], ["old-primary"]] as const) {
      const { entries } = story(limits);
      const late = new Story();
      late.hello("c", 0);
      late.grant("c", "key", 2_500, { fence: "300" });
      const told = late.entries.filter(({ p }) => p === "c");
      expect(broken([...entries, ...told]).includes("P2"), String(limits)).toBe(limits.length === 0);
    }
  });
});
