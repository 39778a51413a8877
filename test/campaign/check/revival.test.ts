import { describe, expect, test } from "vitest";
import { broken, doctored, isRowOf, isSaid, objections } from "./doctor.js";
import { at, Story, wall } from "./story.js";

function story() {
  const story = new Story();
  for (const process of ["a", "b"]) {
    story.hello(process, 0);
    story.beats(process, 10, 40_000);
  }
  const released = story.grant("a", "key", 100, { ttlMs: 2_000 });
  story.renew(released, 1_000);
  story.renew(released, 2_500);
  story.believe(released, 1_100, 2_900);
  story.release(released, 3_000);
  story.belief("a", released.grant.lock, 3_100, false);
  const lost = story.grant("b", "key", 4_000, { ttlMs: 2_000, maxHoldMs: 5_000 });
  story.believe(lost, 4_100, 5_900);
  story.lose(lost, 6_001);
  const late = story.call("b", 6_100, { call: "renew", keys: ["key"], lock: lost.grant.lock });
  story.settle("b", 6_102, late, { outcome: "error", code: "lease-lost", reason: "expired" });
  const closed = story.grant("a", "other", 7_000);
  const close = story.call("a", 8_000, { call: "close" });
  story.tell({ p: "a", t: at(8_001), e: "lost", lock: closed.grant.lock, reason: "closed" });
  story.belief("a", closed.grant.lock, 8_050, true); // until its body has ended
  story.recordRelease(closed, 8_100);
  story.settle("a", 8_200, close);
  story.belief("a", closed.grant.lock, 8_300, false);
  for (const process of ["a", "b"]) story.bye(process, 40_000);
  return { entries: story.entries, released, lost, closed };
}

describe("P5", () => {
  test("an honest history", () => {
    expect(objections(story().entries)).toEqual([]);
  });

  test("a renewal after the expiry", () => {
    const { entries, released } = story();
    const isRenewal = isRowOf("grants", ({ id }) => id === released.row.id);
    expect(broken(doctored(entries, isRenewal, { renewedAt: wall(3_002), expiresAt: wall(5_002) }))).toContain("P5");
    // one that changes nothing does not bring it back
    expect(broken(doctored(entries, isRenewal, { renewedAt: wall(3_002), expiresAt: wall(3_001) }))).not.toContain(
      "P5",
    );
  });

  test("a renewal after a release by force", () => {
    const { entries, released } = story();
    const isBefore = isRowOf("grants", (row) => row.renewedAt === wall(1_001));
    expect(objections(doctored(entries, isBefore, { revokedAt: wall(1_100) }))).toContainEqual(
      expect.stringMatching(/^P5: .* was renewed at 2.501 s, after it was taken away by force at 1.100 s/),
    );
    expect(released.row.renewedAt).toBe(wall(2_501));
  });

  test("a row that has its token again", () => {
    const { entries, released } = story();
    const isRelease = isRowOf("grants", ({ fence, token }) => fence === released.grant.fence && token === null);
    const back = {
      ...entries.find(isRelease),
      token: released.token,
      id: 100_000,
      xid: "100000",
    } as (typeof entries)[number];
    expect(objections([...entries, back])).toContainEqual(expect.stringMatching(/^P5: "key": .* came back to life/));
  });

  test("belief after a release, and after a loss", () => {
    const { entries, released, lost } = story();
    const isAfterRelease = isSaid("a", { e: "belief", lock: released.grant.lock, t: at(3_100) });
    expect(objections(doctored(entries, isAfterRelease, { held: true }))).toContainEqual(
      expect.stringMatching(/^P5: lock 1 of a .* was released at 3.002 s, and believed at 3.100 s/),
    );
    const isAfterLoss = isSaid("b", { e: "belief", lock: lost.grant.lock, t: at(6_002) });
    expect(broken(doctored(entries, isAfterLoss, { asserts: true }))).toContain("P5");
    expect(broken(doctored(entries, isAfterLoss, { asserts: true, t: at(6_000) }))).not.toContain("P5");
  });

  test("belief after a close, not while it waits for bodies", () => {
    const { entries, closed } = story();
    const isAfter = isSaid("a", { e: "belief", lock: closed.grant.lock, t: at(8_300) });
    expect(broken(doctored(entries, isAfter, { held: true }))).toContain("P5");
  });

  test("a renewal that was done after the loss", () => {
    const { entries } = story();
    expect(broken(doctored(entries, isSaid("b", { e: "settled", t: at(6_102) }), { outcome: "done" }))).toEqual(["P5"]);
  });

  test("a heartbeat that goes on", () => {
    const { entries, lost } = story();
    const row = { ...lost.row, p: "database", e: "row", table: "grants", op: "U", revokedAt: null } as const;
    const beat = (ms: number) => ({
      ...row,
      id: 100_000 + ms,
      at: wall(ms),
      renewedAt: wall(ms),
      committedAt: wall(ms),
      xid: `${ms}`,
    });
    expect(objections([...entries, beat(30_000)])).toEqual([
      expect.stringMatching(/^P5: .* and was still renewed at 30.000 s/),
    ]);
    expect(objections([...entries, beat(9_000)])).toEqual([]); // on its way when it was lost
  });

  test("a hold beyond its maximum", () => {
    const { entries, lost } = story();
    const isGrant = isRowOf("grants", ({ id }) => id === lost.first.id);
    expect(broken(doctored(entries, isGrant, { maxHoldUntil: wall(5_900) }))).toEqual([]);
    const row = { ...lost.row, p: "database", e: "row", table: "grants" } as const;
    const beyond = {
      ...row,
      op: "U",
      id: 100_000,
      xid: "7",
      at: wall(5_900),
      renewedAt: wall(5_900),
      expiresAt: wall(9_100),
    } as const;
    expect(broken([...entries, beyond])).toContain("P8");
  });
});
