// Queues that go wrong.
import type { StoreContext } from "../../../src/api/store.js";
import { answering, asking, type BrokenStore, broken, type Change, over } from "./broken-store.js";

/** It looks for all who have asked before, so that nobody leaves the queue. */
const keepsAll: Change = (store, { requests }) => ({
  acquire: async (request) => {
    for (const waiting of requests.values()) {
      if ((await store.check(waiting.key)).state === "held") await store.acquire(waiting);
    }
    if (request.waits) requests.set(request.token, request);
    return await store.acquire(request);
  },
  check: async (key) => {
    for (const waiting of requests.values()) {
      if ((await store.check(waiting.key)).state === "held") await store.acquire(waiting);
    }
    return await store.check(key);
  },
});

export const queues: readonly BrokenStore[] = [
  broken(
    "whoever asks first is granted, whatever its ticket",
    "who waits is granted the key in the order of the tickets",
    over((store, { requests }) => ({
      acquire: async (request) => {
        const { state } = await store.check(request.key);
        if (state === "free")
          for (const token of requests.keys())
            if (token !== request.token) await store.abandon({ key: request.key, token, wasHeld: false });
        requests.set(request.token, request);
        return await store.acquire(request);
      },
    })),
  ),
  broken(
    "the last to come is served first",
    "who waits is granted the key in the order of the tickets",
    answering((answer) => (answer.outcome === "queued" ? { ...answer, ticket: -answer.ticket } : answer)),
  ),
  broken(
    "a try passes those who wait",
    "a try is refused while somebody waits, although the key is free",
    over((store, { requests }) => ({
      acquire: async (request) => {
        if (request.waits) {
          requests.set(request.token, request);
          return await store.acquire(request);
        }
        for (const { key, token } of requests.values()) await store.abandon({ key, token, wasHeld: false });
        const answer = await store.acquire(request);
        for (const waiting of requests.values()) await store.acquire(waiting);
        return answer;
      },
    })),
  ),
  broken(
    "a key that is free is said to be held by the last one",
    "a try is refused while somebody waits, although the key is free",
    answering((answer) =>
      answer.outcome === "held" && answer.holder === null
        ? { ...answer, holder: { owner: "x", fence: 1n, weight: 1, expiresAtMs: 1 } }
        : answer,
    ),
  ),
  broken(
    "each look has a new ticket",
    "whoever asks again keeps its ticket",
    over((store, shared) => ({
      acquire: async (request) => {
        const answer = await store.acquire(request);
        shared.fence += 1n;
        return answer.outcome === "queued" ? { ...answer, ticket: shared.fence } : answer;
      },
    })),
  ),
  broken(
    "each look is one more entry",
    "whoever asks again keeps its ticket",
    over((store) => ({
      check: async (key) => {
        const state = await store.check(key);
        return { ...state, waiters: state.waiters * 2 };
      },
    })),
  ),
  broken(
    "abandon does not leave the queue",
    "abandon leaves the queue",
    over((store) => ({
      abandon: async (request) => {
        const [holder] = (await store.check(request.key)).holders;
        const answer = await store.renew({ ...request, fence: holder?.fence ?? 0n, ttlMs: 0 });
        return answer.outcome === "renewed" ? await store.abandon(request) : { outcome: "gone", reason: null };
      },
    })),
  ),
  broken(
    "an entry is never dropped",
    "an entry that nobody repeats stands in nobody's way for long, and its ticket keeps the place",
    over(keepsAll),
  ),
  broken(
    "a ticket is forgotten with its entry",
    "an entry that nobody repeats stands in nobody's way for long, and its ticket keeps the place",
    asking(() => ({ ticket: null })),
  ),
  broken(
    "it says to look when the lease has long ended",
    "who waits is told when a look is worth while",
    answering((answer) =>
      answer.outcome === "queued" && answer.lookInMs !== null
        ? { ...answer, lookInMs: answer.lookInMs + 5_000 }
        : answer,
    ),
  ),
  broken(
    "it says when to look as a time of its clock",
    "who waits is told when a look is worth while",
    answering((answer) =>
      answer.outcome === "queued" && answer.lookInMs !== null
        ? { ...answer, lookInMs: answer.lookInMs + Date.now() }
        : answer,
    ),
  ),
  broken(
    "it has a queue and says that it has none",
    "without a queue, who would wait is answered held, and leaves nothing",
    over(({ features }) => ({ features: { ...features, queue: { isOn: false, why: "there is none" } } })),
  ),
  broken(
    "nobody is woken",
    "a release wakes the next waiter, in whatever process",
    over(
      () => ({}),
      (context) => ({ ...context, onWake: () => undefined }),
    ),
  ),
  broken("whoever releases is woken", "a release wakes the next waiter, in whatever process", () => {
    const contexts: StoreContext[] = [];
    return over(
      () => ({}),
      (context) => {
        contexts.push(context);
        return { ...context, onWake: (key) => contexts[0]?.onWake(key) };
      },
    )();
  }),
];
