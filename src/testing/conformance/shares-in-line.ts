import { setTimeout as sleep } from "node:timers/promises";
import { same } from "./assertions.js";
import { eventually, type Process } from "./process.js";
import { part, READ } from "./shares.js";
import type { Tests } from "./tests.js";

/** Waiting for shared keys, for stores that have a queue. */
export const sharesInLine: Tests = {
  "who waits for a key alone stops those who would share it and come later": async ({ one, other, open }) => {
    const third = await open();
    const held = await one.take("a", READ);
    const writer = await other.queued("a");
    await third.refused("a", READ);
    const later = await third.queued("a", READ);
    await one.store.release(held);
    const early = await third.ask("a", { ...READ, ...later, waits: true });
    same(early.outcome, "queued", "who waits for a key alone goes first");
    const alone = await other.take("a", { ...writer, waits: true });
    await other.store.release(alone);
    await third.take("a", { ...READ, ...later, waits: true });
  },

  "readers that stand side by side get in together": async ({ one, other, open }) => {
    const third = await open();
    const held = await one.take("a");
    const readers = [];
    for (const process of [other, third, one]) readers.push({ process, ...(await process.queued("a", READ)) });
    await other.queued("a");
    await one.store.release(held);
    // The last of them first: it is not behind the others, but beside them.
    for (const { process, token, ticket } of readers.reverse()) {
      await process.take("a", { ...READ, token, ticket, waits: true });
    }
  },

  "who wants a larger part is not passed by those who want a smaller one": async ({ one, other, open }) => {
    const third = await open();
    const held = [await one.take("a", part(2)), await one.take("a", part(2))] as const;
    const large = await other.queued("a", part(2, 2));
    await one.store.release(held[0]);
    await third.refused("a", part(2));
    const small = await third.queued("a", part(2));
    await one.store.release(held[1]);
    const early = await third.ask("a", { ...part(2), ...small, waits: true });
    same(early.outcome, "queued", "lower tickets are served first");
    await other.take("a", { ...part(2, 2), ...large, waits: true });
  },

  "the capacity of who waits ahead counts, too": async ({ one, other, open }) => {
    const third = await open();
    const held = [await one.take("a", part(9)), await one.take("a", part(9))];
    const narrow = await other.queued("a", part(2));
    await third.refused("a", part(9));
    await other.store.abandon({ key: "a", token: narrow.token, wasHeld: false });
    held.push(await third.take("a", part(9)));
  },
};

/** For stores that wake who is next. */
export const sharedWakes: Tests = {
  "a release wakes all who may share the key now, in whatever process": async ({ one, other, open }) => {
    const third = await open();
    const held = await one.take("a");
    for (const process of [other, third]) await process.queued("a", READ);
    await woken([other, third], () => one.store.release(held));
  },

  "who waits for a key alone is woken by the last reader": async ({ one, other }) => {
    const readers = [await one.take("a", READ), await one.take("a", READ)] as const;
    await other.queued("a");
    await one.store.release(readers[0]);
    await woken([other], () => one.store.release(readers[1]));
  },

  "who gives up wakes those who waited behind it alone": async ({ one, other, open }) => {
    const third = await open();
    await one.take("a", READ);
    const writer = await other.queued("a");
    await third.queued("a", READ);
    await woken([third], () => other.store.abandon({ key: "a", token: writer.token, wasHeld: false }));
  },
};

async function woken(processes: readonly Process[], act: () => Promise<unknown>): Promise<void> {
  await sleep(20);
  for (const process of processes) process.woken.length = 0;
  await act();
  for (const process of processes) {
    await eventually("onWake is called in the process of each that may be next, with its key or with null", () =>
      process.woken.find((key) => key === "a" || key === null),
    );
  }
}
