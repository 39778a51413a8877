// Grants that go wrong.
import { randomUUID } from "node:crypto";
import type { AcquireAnswer, Store } from "../../../src/api/store.js";
import { memoryStore } from "../../../src/store.js";
import { answering, asking, type BrokenStore, broken, granted, over } from "./broken-store.js";

/** Whoever finds the key free takes it, after a moment in which others may have found the same. */
const looksTwice = over((store) => ({
  acquire: async (request) => {
    const { state } = await store.check(request.key);
    if (state !== "free") return await store.acquire(request);
    await new Promise((resolve) => setImmediate(resolve));
    await store.forceRelease?.({ key: request.key, fence: null, immediate: true });
    return await store.acquire(request);
  },
}));

/** Shows other fences than those by which it tells grants apart. */
function shown(store: Store, show: (fence: bigint) => bigint): Partial<Store> {
  const real = new Map<string, bigint>();
  return {
    acquire: async (request) => {
      const answer = await store.acquire(request);
      if (answer.outcome !== "granted") return answer;
      real.set(request.token, answer.fence);
      return { ...answer, fence: show(answer.fence) };
    },
    release: (request) => store.release({ ...request, fence: real.get(request.token) ?? request.fence }),
  };
}

export const grants: readonly BrokenStore[] = [
  broken(
    "a key that is held is granted to whoever asks",
    "a key that is held is refused to everybody else, who is told the holder",
    over((store) => ({
      acquire: async (request) => {
        await store.forceRelease?.({ key: request.key, fence: null, immediate: true });
        return await store.acquire(request);
      },
    })),
  ),
  broken(
    "a refusal does not say who has the key",
    "a key that is held is refused to everybody else, who is told the holder",
    answering((answer) => (answer.outcome === "held" ? { ...answer, holder: null } : answer)),
  ),
  broken(
    "a refusal shows the owner of the one who asks",
    "a key that is held is refused to everybody else, who is told the holder",
    answering((answer, { owner }) =>
      answer.outcome === "held" && answer.holder ? { ...answer, holder: { ...answer.holder, owner } } : answer,
    ),
  ),
  broken(
    "each process has locks of its own",
    "a key that is held is refused to everybody else, who is told the holder",
    () => (context) => memoryStore()(context),
  ),
  broken(
    "a grant lasts for ten times its TTL",
    "a free key is granted for its TTL, by the store's own clock",
    asking(({ ttlMs }) => ({ ttlMs: ttlMs * 10 })),
  ),
  broken(
    "a lease ends before its TTL is over",
    "nobody else is granted the key before the lease ends",
    over((store) => ({
      acquire: async (request) => {
        const answer = await store.acquire(request);
        return answer.outcome === "granted" ? { ...answer, expiresAtMs: answer.expiresAtMs + 60_000 } : answer;
      },
    })),
  ),
  broken(
    "times are in seconds",
    "a free key is granted for its TTL, by the store's own clock",
    granted(({ expiresAtMs, nowMs }) => ({ expiresAtMs: expiresAtMs / 1_000, nowMs: nowMs / 1_000 })),
  ),
  broken(
    "the same token asked again is refused",
    "the same token asked again is the same grant",
    over((store, { requests }) => ({
      acquire: (request) => {
        const isRepeated = requests.has(request.token);
        requests.set(request.token, request);
        return store.acquire(isRepeated ? { ...request, token: randomUUID() } : request);
      },
    })),
  ),
  broken(
    "the same token asked again is a new grant",
    "the same token asked again is the same grant",
    over((store) => ({
      acquire: async (request) => {
        await store.abandon({ ...request, wasHeld: false });
        return await store.acquire(request);
      },
    })),
  ),
  broken(
    "keys are compared without regard to case",
    "keys have nothing to do with each other, whatever they are made of",
    asking(({ key }) => ({ key: key.toLowerCase() })),
  ),
  broken(
    "long keys are cut off",
    "keys have nothing to do with each other, whatever they are made of",
    asking(({ key }) => ({ key: key.slice(0, 255) })),
  ),
  broken(
    "fences fall",
    "fences rise over release, abandon and expiry",
    over((store) => shown(store, (fence) => 1_000_000n - fence)),
  ),
  broken(
    "fences stay the same",
    "fences rise over release, abandon and expiry",
    over((store) => shown(store, () => 7n)),
  ),
  broken(
    "each process draws its own fences",
    "fences rise over release, abandon and expiry",
    over((store, shared) => {
      shared.fence += 1_000n;
      const block = 10_000n - shared.fence;
      return shown(store, (fence) => block + fence);
    }),
  ),
  broken(
    "between looking and granting it lets others look",
    "of many that ask at once one is granted, and the same token is granted once",
    looksTwice,
  ),
  broken(
    "between looking and granting it lets others look, once in a while",
    "in a random run no two hold a key at once, and each grant has a larger fence than the one before",
    looksTwice,
  ),
  broken(
    "an acquire that comes late is granted",
    "an acquire from notAfterMs on is late, says the time, and does nothing",
    asking(() => ({ notAfterMs: Number.POSITIVE_INFINITY })),
  ),
  broken(
    "an acquire that comes late joins the queue",
    "an acquire from notAfterMs on is late, says the time, and does nothing",
    over((store) => ({
      acquire: async (request) => {
        const answer = await store.acquire(request);
        if (answer.outcome === "late") {
          const held = await store.acquire({ ...request, token: randomUUID(), notAfterMs: Number.POSITIVE_INFINITY });
          await store.acquire({ ...request, notAfterMs: Number.POSITIVE_INFINITY });
          if (held.outcome === "granted")
            await store.forceRelease?.({ key: request.key, fence: null, immediate: true });
        }
        return answer;
      },
    })),
  ),
  broken(
    "late does not say the time",
    "an acquire from notAfterMs on is late, says the time, and does nothing",
    answering((answer) => (answer.outcome === "late" ? ({ outcome: "late" } as AcquireAnswer) : answer)),
  ),
  broken(
    "a deadline is compared with the time of the grant's end",
    "an acquire that comes after its last word is late, so that nothing is left behind",
    asking(({ notAfterMs, ttlMs }) => ({ notAfterMs: notAfterMs + ttlMs })),
  ),
];
