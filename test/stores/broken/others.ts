// What else a store can do wrong: looking, force, marks, housekeeping.
import type { Store } from "../../../src/api/store.js";
import { asking, type BrokenStore, broken, never, over } from "./broken-store.js";

export const others: readonly BrokenStore[] = [
  broken(
    "check shows no metadata",
    "check says who has the key, since when, until when, and with what",
    asking(() => ({ metadata: null })),
  ),
  broken(
    "check says the wrong end",
    "check says who has the key, since when, until when, and with what",
    over((store) => ({
      check: async (key) => ({ ...(await store.check(key)), freeAtMs: null }),
    })),
  ),
  broken(
    "a check frees what has expired",
    "check of a free key says so, and no check changes anything",
    over((store) => ({
      check: async (key) => {
        const state = await store.check(key);
        if (state.state === "expired") await store.forceRelease?.({ key, fence: null, immediate: true });
        return state;
      },
    })),
  ),
  broken(
    "a check counts as a use",
    "check of a free key says so, and no check changes anything",
    over((store, { requests }) => ({
      acquire: (request) => {
        requests.set(request.key, request);
        return store.acquire(request);
      },
      check: async (key) => {
        const [holder] = (await store.check(key)).holders;
        const asked = requests.get(key);
        if (holder && asked) await store.renew({ ...asked, fence: holder.fence, ttlMs: 60_000 });
        return await store.check(key);
      },
    })),
  ),
  broken(
    "ping says nothing",
    "ping is a round trip, and says what answers",
    over(() => ({ ping: async () => ({ ms: 0, serverVersion: "" }) })),
  ),
  broken(
    "a feature does not say why",
    "a feature says whether it is there, and why",
    over(() => ({ features: { queue: { isOn: true, why: "" } } })),
  ),
  broken(
    "it promises force-release and has none",
    "a feature says whether it is there, and why",
    over(() => ({ forceRelease: undefined }) as unknown as Partial<Store>),
  ),
  broken(
    "closing one store ends the locks of all",
    "closing one store leaves the locks of the others alone",
    over((store, { requests }) => ({
      acquire: (request) => {
        requests.set(request.key, request);
        return store.acquire(request);
      },
      close: async () => {
        for (const key of requests.keys()) await store.forceRelease?.({ key, fence: null, immediate: true });
      },
    })),
  ),
  broken(
    "opening again forgets what is held",
    "open may be called again, and changes nothing",
    over((store, { requests }) => {
      let isOpen = false;
      return {
        acquire: (request) => {
          requests.set(request.key, request);
          return store.acquire(request);
        },
        open: async () => {
          if (isOpen)
            for (const key of requests.keys()) await store.forceRelease?.({ key, fence: null, immediate: true });
          isOpen = true;
          return await store.open();
        },
      };
    }),
  ),
  broken(
    "a release by force is always at once",
    "a release by force ends renewals, and the key is free when its holder lets go or at its expiry",
    over((store) => ({
      forceRelease: async (request) => (await store.forceRelease?.({ ...request, immediate: true })) ?? never(),
    })),
  ),
  broken(
    "a release by force is never at once",
    "at once, it frees the key now, and its old holder is told that it was taken by force",
    over((store) => ({
      forceRelease: async (request) => (await store.forceRelease?.({ ...request, immediate: false })) ?? never(),
    })),
  ),
  broken(
    "a release by force does not look at the fence",
    "it takes no other grant than the one that is named, and nothing where there is none",
    over((store) => ({
      forceRelease: async (request) => (await store.forceRelease?.({ ...request, fence: null })) ?? never(),
    })),
  ),
  broken(
    "a release by force leaves a minimum hold alone",
    "it ends a minimum hold",
    over((store) => ({
      forceRelease: async (request) => {
        const { state } = await store.check(request.key);
        if (state === "cooling") return { outcome: "gone", freeAtMs: null, holders: [] };
        return (await store.forceRelease?.(request)) ?? never();
      },
    })),
  ),
  broken(
    "a holder that obeys has lost",
    "a holder that lets go after a release by force has released, and the key is free",
    over((store) => ({
      release: async (request) => {
        const { state } = await store.check(request.key);
        const answer = await store.release(request);
        return state === "revoked" ? { outcome: "expired", reason: "forced" } : answer;
      },
    })),
  ),
  broken(
    "every mark passes",
    "a mark rises, and smaller fences are stale from then on",
    over(() => ({ checkFence: async () => "passed" })),
  ),
  broken(
    "a mark passes once",
    "a mark rises, and smaller fences are stale from then on",
    over((store) => ({
      checkFence: async (resource, fence) => {
        const outcome = await store.checkFence?.(resource, fence);
        await store.checkFence?.(resource, fence + 1n);
        return outcome ?? never();
      },
    })),
  ),
  broken(
    "all resources have one mark",
    "a mark rises, and smaller fences are stale from then on",
    over((store) => ({
      checkFence: async (_, fence) => (await store.checkFence?.("all", fence)) ?? never(),
    })),
  ),
  broken(
    "a sweep takes live leases",
    "a sweep leaves live leases and waiters alone",
    over((store) => ({
      sweep: async () => {
        await store.forceRelease?.({ key: "a", fence: null, immediate: true });
        return (await store.sweep?.()) ?? never();
      },
    })),
  ),
  broken(
    "a sweep ends minimum holds",
    "a sweep leaves live leases and waiters alone",
    over((store) => ({
      sweep: async () => {
        await store.forceRelease?.({ key: "b", fence: null, immediate: false });
        return (await store.sweep?.()) ?? never();
      },
    })),
  ),
  broken(
    "a rest gives the locks back",
    "after a rest it goes on with the next request, and what was held is held",
    over((store) => ({
      rest: async () => {
        await store.forceRelease?.({ key: "a", fence: null, immediate: true });
      },
    })),
  ),
];
