import { describe, expect, test } from "vitest";
import { doctored, isRowOf, objections } from "./doctor.js";
import type { GrantRow } from "./entries.js";
import { Story, wall } from "./story.js";

/** One after the other has the key; readers together; parts of a semaphore. */
function story(limits: ConstructorParameters<typeof Story>[0] = []): Story {
  const story = new Story(limits);
  for (const process of ["a", "b", "c"]) {
    story.hello(process, 0);
    story.beats(process, 10, 20_000);
  }
  const first = story.grant("a", "key", 100);
  story.believe(first, 103, 3_000);
  story.renew(first, 3_000);
  story.believe(first, 3_100, 4_900);
  story.release(first, 5_000);
  const second = story.grant("b", "key", 6_000, { minHoldMs: 2_000 });
  story.believe(second, 6_100, 6_400);
  story.release(second, 6_500);
  story.grant("c", "key", 8_100);
  return story;
}

describe("P1, as Postgres sees it", () => {
  test("an honest history has no violation", () => {
    expect(objections(story().entries)).toEqual([]);
  });
});
