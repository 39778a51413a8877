// Renewals, minimum and maximum holds that go wrong.
import { asking, type BrokenStore, broken, granted, over } from "./broken-store.js";

export const renewals: readonly BrokenStore[] = [
  broken(
    "a renewal does nothing",
    "a renewal makes it last for its TTL from now on",
    over((store) => ({
      renew: (request) => store.renew({ ...request, ttlMs: 0 }),
    })),
  ),
  broken(
    "a renewal is answered and not kept",
    "a renewal makes it last for its TTL from now on",
    over((store) => ({
      renew: async (request) => {
        const answer = await store.renew({ ...request, ttlMs: 0 });
        return answer.outcome === "renewed" ? { ...answer, expiresAtMs: answer.nowMs + request.ttlMs } : answer;
      },
    })),
  ),
  broken(
    "a renewal shortens",
    "a renewal never shortens",
    over((store) => ({
      renew: async (request) => {
        const answer = await store.renew(request);
        return answer.outcome === "renewed" ? { ...answer, expiresAtMs: answer.nowMs + request.ttlMs } : answer;
      },
    })),
  ),
  broken(
    "a renewal of 0 extends",
    "a renewal of 0 asks, and changes nothing",
    over((store) => ({
      renew: (request) => store.renew({ ...request, ttlMs: request.ttlMs || 90_000 }),
    })),
  ),
  broken(
    "a renewal of 0 always says yes",
    "a renewal of 0 asks, and changes nothing",
    over((store) => ({
      renew: async (request) => {
        const answer = await store.renew(request);
        const nowMs = (await store.check(request.key)).nowMs;
        return request.ttlMs === 0 ? { outcome: "renewed", nowMs, expiresAtMs: nowMs } : answer;
      },
    })),
  ),
  broken(
    "a renewal goes by the fence alone",
    "only token and fence together renew",
    over((store, { requests }) => ({
      acquire: (request) => {
        requests.set(request.key, request);
        return store.acquire(request);
      },
      renew: (request) => store.renew({ ...request, token: requests.get(request.key)?.token ?? request.token }),
    })),
  ),
  broken(
    "a renewal goes by the token alone",
    "only token and fence together renew",
    over((store) => ({
      renew: async (request) => {
        const [holder] = (await store.check(request.key)).holders;
        return await store.renew({ ...request, fence: holder?.fence ?? request.fence });
      },
    })),
  ),
  broken(
    "a renewal revives what was released",
    "no renewal revives what was released",
    over((store, { requests }) => ({
      acquire: (request) => {
        requests.set(request.token, request);
        return store.acquire(request);
      },
      renew: async (request) => {
        const answer = await store.renew(request);
        const asked = requests.get(request.token);
        if (answer.outcome === "renewed" || asked === undefined) return answer;
        const again = await store.acquire(asked);
        return again.outcome === "granted" ? { ...again, outcome: "renewed" } : answer;
      },
    })),
  ),
  broken(
    "a renewal revives what has expired",
    "an expired lease is free for the next, and its old token can do nothing any more",
    over((store, { requests }) => ({
      acquire: (request) => {
        requests.set(request.token, request);
        return store.acquire(request);
      },
      renew: async (request) => {
        const answer = await store.renew(request);
        const asked = requests.get(request.token);
        if (answer.outcome === "renewed" || answer.reason !== "expired" || asked === undefined) return answer;
        const again = await store.acquire(asked);
        return again.outcome === "granted" ? { ...again, outcome: "renewed" } : answer;
      },
    })),
  ),
  broken(
    "a loss has no reason",
    "an expired lease is free for the next, and its old token can do nothing any more",
    over((store) => ({
      renew: async (request) => {
        const answer = await store.renew(request);
        return answer.outcome === "lost" ? ({ outcome: "lost" } as typeof answer) : answer;
      },
    })),
  ),
  broken(
    "there is no maximum hold",
    "no grant and no renewal goes beyond the maximum hold",
    asking(() => ({ maxHoldMs: null })),
  ),
  broken(
    "the maximum hold ends renewals, but not the first grant",
    "no grant and no renewal goes beyond the maximum hold",
    granted(({ nowMs }) => ({ expiresAtMs: nowMs + 60_000 })),
  ),
  broken(
    "there is no minimum hold",
    "a key released before its minimum hold is kept from everybody until then",
    asking(() => ({ minHoldMs: 0 })),
  ),
  broken(
    "the minimum hold counts from the release",
    "a key released before its minimum hold is kept from everybody until then",
    asking(({ minHoldMs }) => ({ minHoldMs: minHoldMs && minHoldMs + 50 })),
  ),
  broken(
    "who is refused within a minimum hold is not told who had the key",
    "a key released before its minimum hold is kept from everybody until then",
    over((store) => ({
      acquire: async (request) => {
        const { state } = await store.check(request.key);
        const answer = await store.acquire(request);
        return state === "cooling" && answer.outcome === "held" ? { ...answer, holder: null } : answer;
      },
    })),
  ),
  broken(
    "the last word of a call that never had its lock keeps the minimum hold",
    "a last word ends the minimum hold of a call that never had its lock, and keeps that of one that had",
    over((store) => ({
      abandon: (request) => store.abandon({ ...request, wasHeld: true }),
    })),
  ),
  broken(
    "the last word of a call that had its lock ends the minimum hold",
    "a last word ends the minimum hold of a call that never had its lock, and keeps that of one that had",
    over((store) => ({
      abandon: (request) => store.abandon({ ...request, wasHeld: false }),
    })),
  ),
];
