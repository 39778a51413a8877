// A doctored history for each thing that the judge of `npm run cluster` must see, and the nearest one that is in order.
import { describe, expect, test } from "vitest";
import {
  async,
  attempt,
  belief,
  broken,
  call,
  fence,
  final,
  grant,
  guilty,
  harmless,
  innocent,
  loss,
  noLimits,
  rows,
  sync,
  verdict,
} from "./histories.js";

const other = { worker: "two", fence: fence(2) };
const promoted = { worker: "two", fence: fence(2, 2) };

test("a history in which nothing happened is in order", () => {
  expect(verdict(sync, {})).toEqual(innocent);
});

describe("one holder at a time", () => {
  test("two exclusive holders, one after the other", () => {
    expect(verdict(sync, { beliefs: [belief(0, 10), belief(11, 20, other)] })).toEqual(innocent);
  });

  test("two exclusive holders at once", () => {
    const beliefs = [belief(0, 15), belief(10, 20, other)];
    const found = guilty(
      `a with fence ${fence(1)} of one and a with fence ${fence(2)} of two were both held, for 5 ms`,
    );
    expect(verdict(sync, { beliefs })).toEqual(found);
    // of one server: no failover explains that
    expect(verdict(async, { beliefs })).toEqual(found);
  });

  test("a short holder within the time of a long one, behind another", () => {
    const beliefs = [belief(0, 100), belief(40, 50, other)];
    expect(verdict(sync, { beliefs }).violations).toHaveLength(1);
  });

  test("holders on two servers at once: the limit of the promise with asynchronous replication, when something may be lost", () => {
    const beliefs = [belief(0, 15), belief(10, 20, promoted)];
    expect(verdict(async, { beliefs })).toEqual({ violations: [], limits: { ...noLimits, believers: 1 } });
    expect(verdict(sync, { beliefs }).violations).toHaveLength(1);
    expect(verdict(harmless, { beliefs }).violations).toHaveLength(1);
  });

  test("two read locks at once, and one beside an exclusive lock", () => {
    const read = { mode: "shared", capacity: null } as const;
    const beliefs = [belief(0, 10, read), belief(0, 10, { ...read, ...other })];
    expect(verdict(sync, { beliefs })).toEqual(innocent);
    const beside = [...beliefs, belief(5, 6, { worker: "three", fence: fence(3) })];
    expect(verdict(sync, { beliefs: beside }).violations).toHaveLength(2);
  });

  test("as many parts of a semaphore as it has, and one more", () => {
    const part = (index: number) =>
      belief(0, 10, { mode: "semaphore", capacity: 2, worker: `${index}`, fence: fence(index) });
    expect(verdict(sync, { beliefs: [part(1), part(2)] })).toEqual(innocent);
    expect(verdict(sync, { beliefs: [part(1), part(2), part(3)] })).toEqual(
      guilty("a: 3 parts of 2 were held at once"),
    );
  });

  test("a lock that is held after its loss", () => {
    expect(verdict(sync, { beliefs: [belief(0, 10)], losses: [loss(10)] })).toEqual(innocent);
    expect(verdict(sync, { beliefs: [belief(0, 30)], losses: [loss(10)] })).toEqual(
      guilty(`a with fence ${fence(1)} of one was held 20 ms after its loss`),
    );
  });
});

describe("fences rise in real time", () => {
  const first = grant({ asked: 0, at: 10, fence: fence(5) });

  test("a larger fence after a smaller one, and a smaller one that was asked for before", () => {
    expect(verdict(sync, { grants: [first, grant({ asked: 11, at: 12, fence: fence(6) })] })).toEqual(innocent);
    expect(verdict(sync, { grants: [first, grant({ asked: 9, at: 12, fence: fence(4) })] })).toEqual(innocent);
  });

  test.each([4, 5])("fence %d, asked for after 5 was heard of", (number) => {
    const grants = [first, grant({ asked: 11, at: 12, fence: fence(number), worker: "two" })];
    const found = guilty(`a with fence ${fence(number)} of two was granted after a with fence ${fence(5)} of one`);
    expect(verdict(sync, { grants })).toEqual(found);
    expect(verdict(async, { grants })).toEqual(found);
  });

  test("keys have nothing to do with each other", () => {
    expect(verdict(sync, { grants: [first, grant({ key: "b", asked: 11, at: 12, fence: fence(1) })] })).toEqual(
      innocent,
    );
  });

  test("among read locks the order means nothing; beside exclusive locks it does", () => {
    const read = { mode: "shared", capacity: null } as const;
    const readers = [
      grant({ ...read, at: 10, fence: fence(5) }),
      grant({ ...read, asked: 11, at: 12, fence: fence(4) }),
    ];
    expect(verdict(sync, { grants: readers })).toEqual(innocent);
    const writer = grant({ asked: 13, at: 14, fence: fence(3) });
    expect(verdict(sync, { grants: [...readers, writer] }).violations).toHaveLength(1);
    expect(
      verdict(sync, { grants: [first, grant({ ...read, asked: 11, at: 12, fence: fence(4) })] }).violations,
    ).toHaveLength(1);
  });

  test("a grant by the old primary after one by the new: the limit of the promise, as above", () => {
    const grants = [grant({ at: 10, fence: fence(1, 2) }), grant({ asked: 11, at: 12, fence: fence(9, 1) })];
    expect(verdict(async, { grants })).toEqual({ violations: [], limits: { ...noLimits, oldGrants: 1 } });
    expect(verdict(sync, { grants }).violations).toHaveLength(1);
    expect(verdict(harmless, { grants }).violations).toHaveLength(1);
  });
});

describe("guarded writes", () => {
  const two = rows({}, {});
  const attempts = [attempt({ id: "one:1" }), attempt({ id: "one:2" })];

  test("writes that build on each other, with fences that do not fall", () => {
    expect(verdict(sync, { attempts }, final(two))).toEqual(innocent);
    expect(verdict(sync, { attempts }, final(rows({}, { fence: fence(1) })))).toEqual(innocent);
  });

  test("a lost update", () => {
    const lost = rows({}, { was: 0, value: 1 });
    expect(verdict(sync, { attempts }, final(lost))).toEqual(
      guilty("one:2 wrote counter:1 from 0, but 1 stood there: a write is lost"),
    );
    // 0 was never what a lost write had made
    expect(verdict(async, { attempts }, final(lost)).violations).toHaveLength(1);
  });

  test("a stale commit: an older fence after a newer one", () => {
    const stale = rows({ fence: fence(7) }, { fence: fence(6) });
    const found = guilty(`one:2 wrote counter:1 with fence ${fence(6)} after ${fence(7)}`);
    expect(verdict(sync, { attempts }, final(stale))).toEqual(found);
    expect(verdict(async, { attempts }, final(stale))).toEqual(found);
  });

  test("a stale commit although nobody has written since: it began when the next grant was known", () => {
    const grants = [grant({ key: "counter:1", fence: fence(9), worker: "two", asked: 5, at: 6 })];
    const written = rows({ fence: fence(1) });
    const began = (from: number) => ({ grants, attempts: [attempt({ from })] });
    expect(verdict(sync, began(5), final(written))).toEqual(innocent);
    expect(verdict(async, began(7), final(written))).toEqual(
      guilty(`one:1 began to write counter:1 with fence ${fence(1)} after two had fence ${fence(9)}`),
    );
  });

  test("a balance that nobody wrote", () => {
    expect(verdict(sync, { attempts }, final(two, { "counter:1": 5 }))).toEqual(
      guilty("counter:1 is 5, its writes add up to 2"),
    );
  });

  test("money that was made", () => {
    const transfer = attempt({ kind: "transfer" });
    const halves = (target: number) => [
      ...rows({ key: "account:1", was: 1_000, value: 990 }),
      ...rows({ key: "account:2", was: 1_000, value: target }),
    ];
    expect(verdict(sync, { attempts: [transfer] }, final(halves(1_010)))).toEqual(innocent);
    expect(verdict(sync, { attempts: [transfer] }, final(halves(1_011)))).toEqual(
      guilty("there are 6001 of 6000 in the accounts"),
    );
    const half = final(rows({ key: "account:1", was: 1_000, value: 990 }));
    expect(verdict(async, { attempts: [transfer] }, half)).toEqual(
      guilty("of one:1 there is only a part", "there are 5990 of 6000 in the accounts"),
    );
  });

  test("a write that was refused and is there, and one of which nobody knows", () => {
    const outcome = (outcome: "refused" | "unknown") => [attempt({ outcome })];
    expect(verdict(sync, { attempts: outcome("unknown") }, final(rows({})))).toEqual(innocent);
    expect(verdict(sync, { attempts: outcome("unknown") })).toEqual(innocent);
    expect(verdict(sync, { attempts: outcome("refused") })).toEqual(innocent);
    expect(verdict(async, { attempts: outcome("refused") }, final(rows({})))).toEqual(
      guilty("one:1 was refused, and is there"),
    );
  });

  test("a write that was answered and is not there: the limit of the promise, as above", () => {
    const gone = { attempts: [attempt()] };
    expect(verdict(sync, gone)).toEqual(guilty("one:1 was answered as committed, and is not there"));
    expect(verdict(harmless, gone).violations).toHaveLength(1);
    expect(verdict(async, gone)).toEqual({ violations: [], limits: { ...noLimits, lostWrites: 1 } });
  });

  test("an increment from a value that the failover has lost is counted; money is read within its transaction", () => {
    const history = (kind: "increment" | "transfer") => ({
      attempts: [attempt({ id: "gone", kind, values: { "counter:1": 1 } }), attempt({ id: "two:1", kind })],
    });
    const built = rows({ id: "two:1", was: 1, value: 2 });
    expect(verdict(async, history("increment"), final(built))).toEqual({
      violations: [],
      limits: { ...noLimits, lostWrites: 1, fromLost: 1 },
    });
    expect(verdict(async, history("transfer"), final(built)).violations).toContain(
      "two:1 wrote counter:1 from 1, but 0 stood there: a write is lost",
    );
    expect(verdict(sync, history("increment"), final(built)).violations).toHaveLength(2);
  });
});

describe("every call settles", () => {
  test("within its limit and a second", () => {
    expect(verdict(sync, { calls: [call(0, 6_000)] })).toEqual(innocent);
    const late = guilty("release of one settled after 6001 ms, its limit is 5000");
    expect(verdict(sync, { calls: [call(0, 6_001)] })).toEqual(late);
    expect(verdict(async, { calls: [call(0, 6_001)] })).toEqual(late);
  });

  test("not at all", () => {
    expect(verdict(sync, { calls: [call(0, null, 3_000)] })).toEqual(innocent);
    expect(verdict(sync, { calls: [call(0, null, 20_000)] })).toEqual(
      guilty("release of one had not settled after 20000 ms, its limit is 5000"),
    );
  });

  test("a process that stood still is given that time, and no other process", () => {
    const stall = { from: 1_000, to: 2_000 };
    expect(verdict(sync, { calls: [call(0, 6_900)], stalls: [{ worker: "one", ...stall }] })).toEqual(innocent);
    expect(verdict(sync, { calls: [call(0, 6_900)], stalls: [{ worker: "two", ...stall }] }).violations).toHaveLength(
      1,
    );
    const before = [{ worker: "one", from: 0, to: 1_000 }];
    expect(verdict(sync, { calls: [call(2_000, 8_900)], stalls: before }).violations).toHaveLength(1);
  });
});

test("each violation counts for the promise that it breaks", () => {
  const attempts = [attempt()];
  const transfer = [attempt({ kind: "transfer" })];
  expect(broken({ beliefs: [belief(0, 15), belief(10, 20, other)] })).toEqual(["exclusion"]);
  expect(broken({ grants: [grant({ at: 10 }), grant({ asked: 11, at: 12 })] })).toEqual(["fences"]);
  expect(broken({ attempts }, final(rows({ was: 5, value: 6 })))).toEqual(["lost updates"]);
  expect(broken({ attempts }, final(rows({ fence: fence(2) }, { fence: fence(1) })))).toEqual(["stale commits"]);
  expect(broken({ attempts: transfer }, final(rows({ key: "account:1", was: 1_000, value: 990 })))).toEqual(["money"]);
  expect(broken({ attempts })).toEqual(["answers"]);
  expect(broken({ calls: [call(0, 7_000)] })).toEqual(["settling"]);
});
