// Hand-overs that go wrong.
import type { AdoptAnswer, AdoptedAnswer, AdoptRequest, Store } from "../../../src/api/store.js";
import { type BrokenStore, broken, never, over } from "./broken-store.js";

const adopts = (store: Store, request: AdoptRequest): Promise<AdoptAnswer> => store.adopt?.(request) ?? never();

const alone = { mode: "exclusive", capacity: null, weight: 1 } as const;

/** It changes the request, or the answer. */
const adopting = (
  change: (request: AdoptRequest) => Partial<AdoptRequest>,
  answer: (adopted: AdoptedAnswer) => Partial<AdoptedAnswer> = () => ({}),
) =>
  over((store) => ({
    adopt: async (request) => {
      const found = await adopts(store, { ...request, ...change(request) });
      return found.outcome === "adopted" ? { ...found, ...answer(found) } : found;
    },
  }));

export const handOvers: readonly BrokenStore[] = [
  broken(
    "an adoption keeps the owner",
    "who adopts a grant has it, with its fence and all that it was acquired with",
    adopting(() => ({ owner: "first" })),
  ),
  broken(
    "an adoption is a new grant",
    "who adopts a grant has it, with its fence and all that it was acquired with",
    adopting(
      () => ({}),
      ({ nowMs }) => ({ acquiredAtMs: nowMs + 1 }),
    ),
  ),
  broken(
    "an adoption drops the metadata",
    "who adopts a grant has it, with its fence and all that it was acquired with",
    adopting(
      () => ({}),
      () => ({ metadata: null }),
    ),
  ),
  broken(
    "the old token goes on working",
    "the old token is worth nothing any more",
    over((store, { requests }) => {
      const current = (token: string): string => requests.get(token)?.token ?? token;
      return {
        adopt: async (request) => {
          const answer = await adopts(store, request);
          requests.set(request.token, { token: request.newToken } as never);
          return answer;
        },
        renew: (request) => store.renew({ ...request, token: current(request.token) }),
      };
    }),
  ),
  broken(
    "everybody adopts",
    "of several who adopt it at once, one does",
    over((store) => ({
      adopt: async (request) => {
        const { nowMs } = await store.check(request.key);
        const found = await adopts(store, request);
        const adopted = {
          ...alone,
          acquiredAtMs: nowMs,
          nowMs,
          expiresAtMs: nowMs,
          maxHoldUntilMs: null,
          metadata: null,
        };
        return found.outcome === "lost" ? { outcome: "adopted", ...adopted } : found;
      },
    })),
  ),
  broken(
    "the same new token asked again has come too late",
    "the same new token asked again is the same adoption",
    over((store, { requests }) => ({
      adopt: async (request) => {
        if (requests.has(request.newToken)) return { outcome: "lost", reason: "taken" };
        requests.set(request.newToken, { token: request.newToken } as never);
        return await adopts(store, request);
      },
    })),
  ),
  broken(
    "the same new token asked again for less makes it end earlier",
    "the same new token asked again is the same adoption",
    over((store) => ({
      adopt: async (request) => {
        const found = await adopts(store, request);
        return found.outcome === "adopted" ? { ...found, expiresAtMs: found.nowMs + request.ttlMs } : found;
      },
    })),
  ),
  broken(
    "an adoption that comes late is made",
    "an adoption that comes late does nothing",
    adopting(() => ({ notAfterMs: Number.POSITIVE_INFINITY })),
  ),
  broken(
    "an adoption goes by the key alone",
    "what has ended cannot be adopted, nor what has another token, fence or key",
    over((store, { requests }) => ({
      acquire: (request) => {
        requests.set(request.key, request);
        return store.acquire(request);
      },
      adopt: (request) => adopts(store, { ...request, token: requests.get(request.key)?.token ?? request.token }),
    })),
  ),
  broken(
    "an adoption revives what has expired",
    "what has ended cannot be adopted, nor what has another token, fence or key",
    over((store) => ({
      adopt: async (request) => {
        const found = await adopts(store, request);
        const { nowMs } = await store.check(request.key);
        const adopted = {
          ...alone,
          acquiredAtMs: nowMs,
          nowMs,
          expiresAtMs: nowMs,
          maxHoldUntilMs: null,
          metadata: null,
        };
        const isExpired = found.outcome === "lost" && found.reason === "expired";
        return isExpired ? { outcome: "adopted", ...adopted } : found;
      },
    })),
  ),
  broken(
    "to detach renews nothing",
    "detaching lets it last for its TTL from now on, and never for less",
    over((store) => ({ detach: (request) => store.detach?.({ ...request, ttlMs: 0 }) ?? never() })),
  ),
  broken(
    "the maximum hold of a grant ends with its adoption",
    "the maximum hold of the grant stands, and a shorter one counts from the adoption",
    adopting(
      () => ({}),
      ({ nowMs }) => ({ maxHoldUntilMs: nowMs + 90_000 }),
    ),
  ),
  broken(
    "an adoption has no maximum hold of its own",
    "the maximum hold of the grant stands, and a shorter one counts from the adoption",
    adopting(() => ({ maxHoldMs: null })),
  ),
  broken(
    "the minimum hold ends with an adoption",
    "the minimum hold of the grant stands, whoever releases it",
    over((store) => ({ release: (request) => store.abandon({ ...request, wasHeld: false }) })),
  ),
  broken(
    "what its holder has is adopted",
    "what its holder has not let go of cannot be adopted, in a store that knows who lives",
    over((store) => ({
      adopt: async (request) => {
        await store.detach?.({ ...request, ttlMs: 0 });
        return await adopts(store, request);
      },
    })),
  ),
];
