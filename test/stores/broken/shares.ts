// Shared keys that go wrong.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { AcquireRequest, StoreContext, StoreFactory } from "../../../src/api/store.js";
import { asking, type BrokenStore, broken, never, over } from "./broken-store.js";

const isShare = ({ mode }: AcquireRequest): boolean => mode !== "exclusive";

/** Those who pass are granted as if the others did not wait. */
const passing = (
  passes: (request: AcquireRequest) => boolean,
  isPassed: (waiting: AcquireRequest) => boolean,
): (() => StoreFactory) =>
  over((store, { requests }) => ({
    acquire: async (request) => {
      if (request.waits && isPassed(request)) requests.set(request.token, request);
      if (!passes(request)) return await store.acquire(request);
      for (const { key, token } of requests.values()) await store.abandon({ key, token, wasHeld: false });
      const answer = await store.acquire(request);
      for (const waiting of requests.values()) await store.acquire(waiting);
      return answer;
    },
  }));

/** `tells`: whether a process is told, when that is to happen. */
const telling = (tells: (woken: number) => boolean): (() => StoreFactory) => {
  return () => {
    let woken = 0;
    const told = (context: StoreContext): StoreContext => ({
      ...context,
      onWake: (key) => {
        woken += 1;
        if (tells(woken)) context.onWake(key);
      },
    });
    return over(() => ({}), told)();
  };
};

/** Whoever gives up wakes nobody. */
const silentAbandon = (): StoreFactory => {
  let isSilent = false;
  return over(
    (store) => ({
      abandon: async (request) => {
        isSilent = true;
        const answer = await store.abandon(request);
        await sleep(1);
        isSilent = false;
        return answer;
      },
    }),
    (context) => ({ ...context, onWake: (key) => isSilent || context.onWake(key) }),
  )();
};

export const shares: readonly BrokenStore[] = [
  broken(
    "a read lock is exclusive",
    "readers have a key together, and nobody has it alone beside them",
    asking(({ mode }) => ({ mode: mode === "shared" ? "exclusive" : mode })),
  ),
  broken(
    "an exclusive lock is granted beside readers",
    "readers have a key together, and nobody has it alone beside them",
    asking(({ mode }) => ({ mode: mode === "exclusive" ? "shared" : mode })),
  ),
  broken(
    "it counts holders, not weights",
    "the weights of those who share a key never exceed the capacity",
    asking(() => ({ weight: 1 })),
  ),
  broken(
    "the capacity of whoever came first counts for ever",
    "of several capacities the smallest counts",
    over((store, { requests }) => ({
      acquire: (request) => {
        if (request.capacity === null) return store.acquire(request);
        if (!requests.has(request.key)) requests.set(request.key, request);
        return store.acquire({ ...request, capacity: requests.get(request.key)?.capacity ?? null });
      },
    })),
  ),
  broken(
    "a share asked for again is one more",
    "a share is the same grant for the same token, and renewed, released and lost by itself",
    over((store, { requests }) => ({
      acquire: (request) => {
        const isRepeated = isShare(request) && requests.has(request.token);
        requests.set(request.token, request);
        return store.acquire(isRepeated ? { ...request, token: randomUUID(), capacity: 9 } : request);
      },
    })),
  ),
  broken(
    "exclusive locks and shares draw fences of their own",
    "fences rise over shares and exclusive locks",
    over((store) => {
      const real = new Map<string, bigint>();
      return {
        acquire: async (request) => {
          const answer = await store.acquire(request);
          if (answer.outcome !== "granted") return answer;
          real.set(request.token, answer.fence);
          return { ...answer, fence: isShare(request) ? answer.fence : answer.fence + 1_000n };
        },
        release: (request) => store.release({ ...request, fence: real.get(request.token) ?? request.fence }),
      };
    }),
  ),
  broken(
    "a share never expires",
    "a share that expires makes room, and its token can do nothing any more",
    over((store) => ({
      acquire: async (request) => {
        const answer = await store.acquire({ ...request, ttlMs: isShare(request) ? 600_000 : request.ttlMs });
        return answer.outcome === "granted" ? { ...answer, expiresAtMs: answer.nowMs + request.ttlMs } : answer;
      },
    })),
  ),
  broken(
    "an exclusive lock goes on beside the readers that have taken it over",
    "after an exclusive lock that has expired, its holder is told that readers have taken it",
    over((store) => ({
      renew: async (request) => {
        const answer = await store.renew(request);
        const { nowMs } = await store.check(request.key);
        return answer.outcome === "lost" && answer.reason === "taken"
          ? { outcome: "renewed", nowMs, expiresAtMs: nowMs + request.ttlMs }
          : answer;
      },
    })),
  ),
  broken(
    "a share has no minimum hold",
    "a share that was released before its minimum hold keeps its part until then",
    asking((request) => ({ minHoldMs: isShare(request) ? 0 : request.minHoldMs })),
  ),
  broken(
    "check tells one of several",
    "check tells all who share a key, the oldest first",
    over((store) => ({
      check: async (key) => {
        const state = await store.check(key);
        return { ...state, holders: state.holders.slice(0, 1) };
      },
    })),
  ),
  broken(
    "check tells the newest first",
    "check tells all who share a key, the oldest first",
    over((store) => ({
      check: async (key) => {
        const state = await store.check(key);
        return { ...state, holders: state.holders.toReversed() };
      },
    })),
  ),
  broken(
    "an adopted share takes all that there is",
    "who adopts a share has it beside the others, with its fence and its part",
    over((store) => ({
      adopt: async (request) => {
        const answer = (await store.adopt?.(request)) ?? never();
        return answer.outcome === "adopted" ? { ...answer, mode: "exclusive", capacity: null, weight: 1 } : answer;
      },
    })),
  ),
  broken(
    "a release by force takes all shares, whichever is named",
    "a release by force takes the share with the fence, or all",
    over((store) => ({
      forceRelease: async (request) => (await store.forceRelease?.({ ...request, fence: null })) ?? never(),
    })),
  ),
  broken(
    "readers pass a writer that waits",
    "who waits for a key alone stops those who would share it and come later",
    passing(isShare, ({ mode }) => mode === "exclusive"),
  ),
  broken(
    "readers that wait are let in one by one",
    "readers that stand side by side get in together",
    asking(({ mode, waits }) => ({ mode: mode === "shared" && waits ? "exclusive" : mode })),
  ),
  broken(
    "small parts pass a large one that waits",
    "who wants a larger part is not passed by those who want a smaller one",
    passing(
      ({ weight }) => weight === 1,
      ({ weight }) => weight > 1,
    ),
  ),
  broken(
    "the capacity of those who wait does not count",
    "the capacity of who waits ahead counts, too",
    passing(
      ({ capacity }) => capacity === 9,
      ({ capacity }) => capacity === 2,
    ),
  ),
  broken(
    "it wakes one process at most",
    "a release wakes all who may share the key now, in whatever process",
    telling((woken) => woken === 1),
  ),
  broken(
    "it wakes nobody",
    "who waits for a key alone is woken by the last reader",
    telling(() => false),
  ),
  broken("who gives up wakes nobody", "who gives up wakes those who waited behind it alone", silentAbandon),
  broken(
    "there is room for one more than the capacity",
    "in a random run nobody has a key alone beside others, and no capacity is exceeded",
    asking(({ capacity }) => ({ capacity: capacity === null ? null : capacity + 1 })),
  ),
];
