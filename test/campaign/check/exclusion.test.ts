import { describe, expect, test } from "vitest";
import type { Entry, Limit } from "../log.js";
import { broken, doctored, isRowOf, isSaid, objections } from "./doctor.js";
import { at, type Held, Story, wall } from "./story.js";

const shared = { mode: "shared", weight: 1 } as const;
const part = (weight: number, capacity: number) => ({ mode: "semaphore", weight, capacity }) as const;

/** One after the other has the key: released, expired, taken over from the dead, kept by a minimum hold. */
function exclusive(limits: readonly Limit[] = []) {
  const story = new Story(limits);
  for (const process of ["a", "b", "c", "d"]) story.hello(process, 0);
  for (const process of ["a", "c", "d"]) story.beats(process, 10, 40_000);
  story.beats("b", 10, 6_010);
  const first = story.grant("a", "key", 100);
  story.believe(first, 103, 3_000);
  story.renew(first, 3_000);
  story.believe(first, 3_100, 4_900);
  story.release(first, 5_000);
  const second = story.grant("b", "key", 6_000, { ttlMs: 20_000 });
  story.believe(second, 6_003, 6_303);
  story.kill("b", 6_400);
  // 5 s after the last heartbeat
  const third = story.grant("c", "key", 11_100, { minHoldMs: 2_000 });
  story.believe(third, 11_103, 11_403);
  story.release(third, 11_500);
  const fourth = story.grant("d", "key", 13_200, { ttlMs: 5_000 });
  story.believe(fourth, 13_203, 18_103, 350);
  story.lose(fourth, 18_150);
  const fifth = story.grant("a", "key", 18_210);
  story.release(fifth, 18_300);
  for (const process of ["a", "c", "d"]) story.bye(process, 40_000);
  return { entries: story.entries, first, second, third, fourth, fifth };
}

function sharing() {
  const story = new Story();
  for (const process of ["a", "b", "c"]) {
    story.hello(process, 0);
    story.beats(process, 10, 40_000);
  }
  const one = story.grant("a", "key", 100, { terms: part(2, 3) });
  const two = story.grant("b", "key", 200, { terms: part(1, 3) });
  story.believe(one, 300, 900);
  story.believe(two, 300, 900);
  story.release(one, 1_000);
  story.release(two, 1_100);
  const alone = story.grant("c", "key", 1_200);
  story.release(alone, 2_000);
  const reader = story.grant("a", "key", 2_100, { terms: shared });
  story.release(reader, 3_000);
  for (const process of ["a", "b", "c"]) story.bye(process, 40_000);
  return { entries: story.entries, one, two, alone, reader };
}

const isGrant = ({ first }: Held) => isRowOf("grants", ({ id }) => id === first.id);

describe("P1, as Postgres sees it", () => {
  test("honest histories", () => {
    expect(objections(exclusive().entries)).toEqual([]);
    expect(objections(sharing().entries)).toEqual([]);
  });

  test("a grant while another one stands", () => {
    const { entries, third, fourth } = exclusive();
    // the next one came 10 ms after it had expired
    expect(broken(doctored(entries, isGrant(fourth), { expiresAt: wall(18_210) }))).toEqual([]);
    expect(broken(doctored(entries, isGrant(fourth), { expiresAt: wall(18_212) }))).toEqual(["P1"]);
    // nothing of the third was ever released, as far as the database knows
    const isRelease = isRowOf("grants", (row) => row.fence === third.grant.fence && row.releasedAt !== null);
    expect(broken(doctored(entries, isRelease, null))).toContain("P1");
    const isEarlier = isGrant(fourth);
    expect(broken(doctored(entries, isEarlier, { at: wall(12_900), renewedAt: wall(12_900) }))).toContain("P1");
  });

  test("a takeover from who is not dead", () => {
    const { entries, second } = exclusive();
    const isLast = isRowOf("sessions", (row) => row.sessionId === second.row.sessionId && row.at === wall(6_010));
    const later = { seenAt: wall(6_600), at: wall(6_600), committedAt: wall(6_600) };
    expect(objections(doctored(entries, isLast, later))).toEqual([
      expect.stringMatching(/^P1: "key" was granted .* while .*alive$/),
    ]);
    // the same backend came back after it was robbed
    const after = { seenAt: wall(12_000), at: wall(12_000), committedAt: wall(12_000) };
    const back = doctored(entries, isLast, after);
    expect(broken(back)).toEqual(["P1"]);
    // which a session pooler may have cleaned and given to it again
    const isRound = (entry: Entry) => entry.e === "round";
    expect(broken(doctored(back, isRound, { scene: "session-pooled" }))).toEqual([]);
    expect(broken(doctored(back, isRound, { scene: "pooled" }))).toEqual(["P1"]);
    // a lease without presence lives until its TTL
    expect(broken(doctored(entries, isGrant(second), { sessionId: null, takeoverMs: null }))).toContain("P1");
  });

  test("a weight too much", () => {
    const { entries, two } = sharing();
    expect(objections(doctored(entries, isGrant(two), { weight: 2 }))).toContainEqual(
      expect.stringMatching(/^P1: "key" was shared by 2 holders with a weight of 4 together, and a capacity of 3/),
    );
    expect(broken(doctored(entries, isGrant(two), { capacity: 2 }))).toEqual(["P1"]);
  });

  test("alone beside a share", () => {
    const { entries, alone } = sharing();
    const moment = { at: wall(1_050), renewedAt: wall(1_050) };
    const isRelease = isRowOf("grants", (row) => row.fence === sharing().two.grant.fence && row.op === "D");
    expect(broken(doctored(entries, isGrant(alone), moment))).not.toContain("P2");
    expect(broken(doctored(entries, isRelease, null))).toContain("P1");
  });

  test("a share that the grant itself removed was not due", () => {
    const { entries, two, alone } = sharing();
    const isRelease = isRowOf("grants", (row) => row.fence === two.grant.fence && row.op === "D");
    expect(broken(doctored(entries, isRelease, { xid: alone.row.xid, at: wall(1_201) }))).toEqual(["P1"]);
  });

  test("not after the server's clock was set, where that is the scene", () => {
    for (const limits of [[], ["clock-step"]] as const) {
      const { entries, third } = exclusive(limits);
      const isRelease = isRowOf("grants", (row) => row.fence === third.grant.fence && row.releasedAt !== null);
      const step = { p: "nemesis", t: at(10), e: "server-clock", node: "one", offset: 5_000_000 } as const;
      const promises = broken([...doctored(entries, isRelease, null), step]);
      expect(promises.includes("P1"), String(limits)).toBe(limits.length === 0);
    }
  });
});

describe("P1, as clients see it", () => {
  const belief = (lock: string, ms: number) => isSaid("a", { e: "belief", lock, t: at(ms) });

  test("belief after another was told of its grant", () => {
    const { entries, first, second } = exclusive();
    const late = doctored(entries, belief(first.grant.lock, 4_900), { t: at(6_003) });
    expect(objections(late)).toContainEqual(expect.stringMatching(/was told of its grant/));
    // without the rows and their clock, too
    expect(broken(late.filter((entry) => entry.p !== "database"))).toContain("P1");
    expect(second.grant.fence > first.grant.fence).toBe(true);
  });

  test("belief after another grant was decided, before anybody was told", () => {
    const { entries, fourth, fifth } = exclusive();
    const isLast = isSaid("d", { e: "belief", lock: fourth.grant.lock, t: at(18_103) });
    const answer = isSaid("a", { e: "settled", t: at(18_212) });
    const told = doctored(entries, answer, { t: at(18_290) });
    expect(objections(told)).toEqual([]);
    expect(objections(doctored(told, isLast, { t: at(18_215) }))).toContainEqual(
      expect.stringMatching(new RegExp(`Postgres granted it with fence ${fifth.grant.fence}`)),
    );
  });

  test("belief beyond what was committed", () => {
    const { entries, fourth } = exclusive();
    const isLast = isSaid("d", { e: "belief", lock: fourth.grant.lock, t: at(18_103) });
    expect(objections(doctored(entries, isLast, { t: at(18_206) }))).toContainEqual(
      expect.stringMatching(/nothing that was committed by then grants it for longer/),
    );
    // a belief of asserting alone counts as one
    expect(broken(doctored(entries, isLast, { t: at(18_206), held: false }))).toContain("P1");
    expect(broken(doctored(entries, isLast, { t: at(18_206), held: false, asserts: false }))).toEqual([]);
  });

  test("belief in a renewal that was committed later", () => {
    const { entries, first } = exclusive();
    const isRenewal = isRowOf("grants", ({ id }) => id === first.row.id);
    const short = doctored(entries, isGrant(first), { expiresAt: wall(3_500) });
    expect(objections(short)).toEqual([]);
    expect(objections(doctored(short, isRenewal, { committedAt: wall(4_000) }))).toContainEqual(
      expect.stringMatching(/nothing that was committed by then/),
    );
  });

  test("belief in what the database had ended", () => {
    const { entries, first } = exclusive();
    const isRelease = isRowOf("grants", (row) => row.fence === first.grant.fence && row.releasedAt !== null);
    const early = doctored(entries, isRelease, { committedAt: wall(4_500) });
    expect(objections(early)).toContainEqual(expect.stringMatching(/the database had ended it at 4.500 s/));
  });

  test("a grant that was answered and is not there", () => {
    const { entries, fifth } = exclusive();
    const without = entries.filter((entry) => !isRowOf("grants", ({ fence }) => fence === fifth.grant.fence)(entry));
    expect(objections(without)).toEqual([]); // nobody believed in it
    const lock = fifth.grant.lock;
    without.push({ p: "a", t: at(18_220), e: "belief", lock, held: true, asserts: true, until: at(18_220) });
    expect(objections(without)).toEqual([expect.stringMatching(/the database has no such grant/)]);
  });

  test("not after a failover that loses grants", () => {
    for (const limits of [[], ["async-failover"]] as const) {
      const { entries, first } = exclusive(limits);
      const late = doctored(entries, belief(first.grant.lock, 4_900), { t: at(6_003) });
      late.push({ p: "nemesis", t: at(5_500), e: "primary", node: "two", isLagging: true });
      expect(broken(late).includes("P1"), String(limits)).toBe(limits.length === 0);
    }
  });

  test("what the new server grants excludes, after any failover", () => {
    const story = new Story(["async-failover", "old-primary"]);
    for (const process of ["a", "b"]) story.hello(process, 0);
    story.tell({ p: "nemesis", t: at(50), e: "primary", node: "two", isLagging: true });
    story.node = "two";
    const first = story.grant("a", "key", 100);
    story.believe(first, 200, 900);
    story.release(first, 1_000);
    story.release(story.grant("b", "key", 1_100), 1_200);
    for (const process of ["a", "b"]) story.bye(process, 2_000);
    expect(objections(story.entries)).toEqual([]);
    const late = doctored(story.entries, belief(first.grant.lock, 900), { t: at(1_150) });
    expect(broken(late)).toContain("P1");
  });

  test("a limit takes nothing away before it comes to that", () => {
    const { entries, first } = exclusive(["async-failover", "old-primary", "clock-step", "immediate-release"]);
    expect(objections(entries)).toEqual([]);
    expect(broken(doctored(entries, belief(first.grant.lock, 4_900), { t: at(6_003) }))).toContain("P1");
  });

  test("not of a key that was released by force at once", () => {
    for (const limits of [[], ["immediate-release"]] as const) {
      const { entries, first } = exclusive(limits);
      const isRelease = isRowOf("grants", (row) => row.fence === first.grant.fence && row.releasedAt !== null);
      const forced = doctored(entries, isRelease, { committedAt: wall(4_500), revokedAt: wall(4_500) });
      expect(broken(forced).includes("P1"), String(limits)).toBe(limits.length === 0);
    }
  });

  test("who has adopted a lock has its newest token, also where a server that was replaced knew of another renewal", () => {
    const story = new Story(["async-failover"]);
    story.hello("a", 0);
    const held = story.grant("a", "key", 100, { terms: shared });
    story.recordRenewal(held, 150);
    const lost = story.entries.at(-1);
    const adoption = story.call("a", 200, { call: "adopt", keys: ["key"], lock: held.grant.lock });
    story.recordRenewal(held, 201, {
      token: story.token(),
      sessionId: story.sessionOf("b"),
      owner: story.ownerOf("b"),
    });
    const adopted = { ...held, grant: { ...held.grant, lock: "90" } };
    story.settle("a", 202, adoption, { grants: [adopted.grant] });
    story.believe(adopted, 203, 403);
    story.release(adopted, 500);
    story.bye("a", 2_000);
    const renewal = (entry: (typeof story.entries)[number]) => entry === lost;

    expect(objections(story.entries)).toEqual([]);
    expect(objections(doctored(story.entries, renewal, { isLost: true }))).toEqual([]);
    const late = doctored(story.entries, isSaid("a", { e: "belief", t: at(403) }), { t: at(600), until: at(601) });
    expect(broken(doctored(late, renewal, { isLost: true }))).toContain("P1");
  });
});
