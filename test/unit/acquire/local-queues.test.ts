// Which of the waiters of this process look when a key may be free: where it is shared, several may be granted it.
import { expect, test } from "vitest";
import type { Waiter } from "../../../src/acquire/local-queue.js";
import { LocalQueues } from "../../../src/acquire/local-queues.js";
import { systemClock } from "../../../src/runtime/clock.js";
import { settle } from "../manual-clock.js";

type Kind = "writer" | "reader" | "part";

/** A queue of these, in this order. `looking`: the places of those whose look is on its way. */
async function queueOf(kinds: readonly Kind[], looking: readonly number[] = []) {
  const queues = new LocalQueues(systemClock, async () => [], 5_000);
  const waits = kinds.map((kind, place): Waiter => {
    const wait: Waiter = {
      key: "a",
      token: `${place}`,
      isReader: kind === "reader",
      isShared: kind !== "writer",
      ticket: null,
      before: null,
      behind: null,
      dueAtMs: 0,
      slackMs: 0,
      isWoken: false,
      isCalled: false,
      resume: null,
    };
    queues.join(wait);
    queues.setTicket(wait, { number: BigInt(place), proof: 0n });
    return wait;
  });
  const resumed = new Set<number>();
  for (const [place, wait] of waits.entries()) {
    if (!looking.includes(place)) void queues.pause(wait, 600_000, 0).then(() => resumed.add(place));
  }
  /** The places of those that look by this, or look again after the look that is on its way. */
  const lookBy = async (act: () => unknown): Promise<readonly number[]> => {
    resumed.clear();
    act();
    await settle();
    return waits.flatMap((wait, place) => (resumed.has(place) || wait.isWoken ? [place] : []));
  };
  const end = (): void => {
    for (const wait of waits) queues.leave(wait);
  };
  return { queues, waits, lookBy, end };
}

test.each([
  [["writer", "reader"], [0]],
  [["writer", "writer"], [0]],
  [
    ["reader", "reader", "reader"],
    [0, 1, 2],
  ],
  [
    ["reader", "reader", "writer", "reader"],
    [0, 1],
  ],
  [["reader", "writer", "reader"], [0]],
  [
    ["reader", "reader", "part", "reader"],
    [0, 1],
  ],
  [["part", "part"], [0]],
  [["part", "reader"], [0]],
] as const)("of %j those at %j look when the key is let go, or may be free", async (kinds, places) => {
  const acts: ((queues: LocalQueues) => unknown)[] = [
    (queues) => queues.wakeKey("a"),
    (queues) => queues.wakeAll(),
    (queues) => queues.releaseSent("a"),
    (queues) => queues.releaseAnswered("a", false, undefined),
    (queues) => queues.releaseAnswered("a", false, true),
  ];
  for (const act of acts) {
    const { queues, lookBy, end } = await queueOf(kinds);
    expect(await lookBy(() => act(queues))).toEqual(places);
    end();
  }
});

test("nobody looks for a release of which the server says that another process is next, or that it tells whoever is", async () => {
  for (const next of [false, null]) {
    const { queues, lookBy, end } = await queueOf(["reader", "reader"]);
    expect(await lookBy(() => queues.releaseAnswered("a", false, next))).toEqual([]);
    end();
  }
});

test("of the parts of a semaphore each release wakes one more: those that look already are not woken again for it", async () => {
  const { queues, lookBy, end } = await queueOf(["part", "part", "part", "writer"], [0, 1]);
  expect(await lookBy(() => queues.wakeKey("a"))).toEqual([0, 2]);
  end();
});

test("a reader that is looking looks once more, and those beside it look", async () => {
  const { queues, lookBy, end } = await queueOf(["reader", "reader"], [0]);
  expect(await lookBy(() => queues.wakeKey("a"))).toEqual([0, 1]);
  end();
});

test("those that come after the first one has left are woken in their turn", async () => {
  const { queues, waits, lookBy, end } = await queueOf(["part", "writer", "reader"]);
  queues.leave(waits[0] as Waiter);
  await settle();
  expect(await lookBy(() => queues.wakeKey("a"))).toEqual([1]);
  end();
});
