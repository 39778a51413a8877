// Releases and last words that go wrong.
import { type BrokenStore, broken, granted, over } from "./broken-store.js";

export const ends: readonly BrokenStore[] = [
  broken(
    "a release does nothing",
    "a release frees the key at once",
    over(() => ({ release: async () => ({ outcome: "released", reason: null }) })),
  ),
  broken(
    "a release needs no token",
    "only token and fence together release",
    over((store) => ({
      release: async (request) => {
        const answer = await store.release(request);
        if (answer.outcome === "gone") await store.forceRelease?.({ ...request, immediate: true });
        return answer;
      },
    })),
  ),
  broken(
    "a release needs no fence",
    "only token and fence together release",
    over((store) => ({
      release: (request) => store.abandon({ ...request, wasHeld: true }),
    })),
  ),
  broken(
    "a second release says that it has freed something",
    "a second release finds nothing, and leaves the next grant alone",
    over((store) => ({
      release: async (request) => {
        const answer = await store.release(request);
        return answer.outcome === "gone" ? { outcome: "released", reason: null } : answer;
      },
    })),
  ),
  broken(
    "a release goes by the key alone",
    "a second release finds nothing, and leaves the next grant alone",
    over((store) => ({
      release: async (request) => {
        await store.forceRelease?.({ key: request.key, fence: null, immediate: true });
        return await store.release(request);
      },
    })),
  ),
  broken(
    "the release of an expired lease is like any other",
    "the release of an expired lease says that it had expired, or that there is nothing any more",
    over((store) => ({
      release: async (request) => {
        const answer = await store.release(request);
        return answer.outcome === "expired" ? { outcome: "released", reason: null } : answer;
      },
    })),
  ),
  broken(
    "abandon does nothing",
    "abandon frees what its token was granted",
    over(() => ({ abandon: async () => ({ outcome: "gone", reason: null }) })),
  ),
  broken(
    "abandon goes by the key alone",
    "a second release finds nothing, and leaves the next grant alone",
    over((store) => ({
      abandon: async (request) => {
        await store.forceRelease?.({ key: request.key, fence: null, immediate: true });
        return await store.abandon(request);
      },
    })),
  ),
  broken(
    "an expired lease is never free",
    "an expired lease is free for the next, and its old token can do nothing any more",
    over((store) => ({
      acquire: async (request) => {
        const { state, holders } = await store.check(request.key);
        return state === "expired" ? { outcome: "held", holder: holders[0] ?? null } : await store.acquire(request);
      },
    })),
  ),
  broken(
    "a takeover says another holder",
    "an expired lease is free for the next, and its old token can do nothing any more",
    granted(({ takeover }) => ({ takeover: takeover ? { ...takeover, fence: 7_777n } : null })),
  ),
];
