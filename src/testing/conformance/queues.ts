import { setTimeout as sleep } from "node:timers/promises";
import { holds, same } from "./assertions.js";
import { eventually } from "./process.js";
import type { Tests } from "./tests.js";

/** Waiting in line, for stores that have a queue. */
export const queues: Tests = {
  "who waits is granted the key in the order of the tickets": async ({ one, other, open }) => {
    const third = await open();
    let held = await one.take("a");
    const waiting = [];
    for (const process of [other, third, one]) waiting.push({ process, ...(await process.queued("a")) });
    const tickets = waiting.map(({ ticket }) => ticket);
    const isRising = tickets.every((ticket, index) => index === 0 || ticket > (tickets[index - 1] as bigint));
    holds(isRising, "who comes later has a higher ticket", tickets);
    same((await one.store.check("a")).waiters, 3, "check says how many wait");
    for (const [index, { process, token, ticket }] of waiting.entries()) {
      await one.store.release(held);
      for (const later of waiting.slice(index + 1)) {
        const answer = await later.process.ask("a", { token: later.token, ticket: later.ticket, waits: true });
        same(answer.outcome, "queued", "lower tickets are served first");
      }
      held = await process.take("a", { token, ticket, waits: true });
    }
  },

  "a try is refused while somebody waits, although the key is free": async ({ one, other }) => {
    const held = await one.take("a");
    await other.queued("a");
    await one.store.release(held);
    const { holder } = await one.refused("a");
    same(holder, null, "the holder of a key that is free, and for which somebody waits, is null");
  },

  "whoever asks again keeps its ticket": async ({ one, other }) => {
    await one.take("a");
    const { ticket, token } = await other.queued("a");
    for (const given of [ticket, null]) {
      const again = await other.queued("a", { token, ticket: given });
      same(again.ticket, ticket, "whoever asks again keeps its ticket");
    }
    same((await one.store.check("a")).waiters, 1, "whoever asks again is one waiter");
  },

  "abandon leaves the queue": async ({ one, other, open }) => {
    const third = await open();
    const held = await one.take("a");
    const first = await other.queued("a");
    const second = await third.queued("a");
    await other.store.abandon({ key: "a", token: first.token, wasHeld: false });
    same((await one.store.check("a")).waiters, 1, "abandon leaves the queue");
    await one.store.release(held);
    await third.take("a", { ...second, waits: true });
  },

  "an entry that nobody repeats stands in nobody's way for long, and its ticket keeps the place": async ({
    one,
    other,
    open,
  }) => {
    const third = await open();
    const held = await one.take("a");
    const gone = await other.queued("a");
    const patient = await third.queued("a");
    await eventually("only the one that looks is left in the queue", async () => {
      await third.queued("a", patient);
      return (await one.store.check("a")).waiters === 1 || undefined;
    });
    const { ticket } = await other.queued("a", gone);
    same(ticket, gone.ticket, "whoever comes back with its ticket keeps it");
    await one.store.release(held);
    const answer = await third.ask("a", { ...patient, waits: true });
    same(answer.outcome, "queued", "whoever comes back with a lower ticket is served first");
    await other.take("a", { ...gone, waits: true });
  },

  "who waits is told when a look is worth while": async ({ one, other }) => {
    await one.take("a", { ttlMs: 5_000 });
    const answer = await other.ask("a", { waits: true });
    holds(answer.outcome === "queued", "who waits for a key that is held is queued", answer);
    const { lookInMs } = answer;
    holds(
      lookInMs === null || (lookInMs >= 0 && lookInMs < 5_100),
      "lookInMs is how long the lease lasts, 5 s",
      answer,
    );
  },
};

/** For stores that have no queue. */
export const noQueue: Tests = {
  "without a queue, who would wait is answered held, and leaves nothing": async ({ one, other }) => {
    const held = await one.take("a");
    const answer = await other.ask("a", { waits: true });
    same(answer.outcome, "held", "a store without a queue answers held to those that would wait, too");
    await one.store.release(held);
    await one.take("a");
  },
};

/** For stores that wake who is next. */
export const wakes: Tests = {
  "a release wakes the next waiter, in whatever process": async ({ one, other }) => {
    const held = await one.take("a");
    await other.queued("a");
    await sleep(20);
    other.woken.length = 0;
    await one.store.release(held);
    await eventually("onWake is called in the process of the next waiter, with its key or with null", () =>
      other.woken.find((key) => key === "a" || key === null),
    );
  },
};
