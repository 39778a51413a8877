import type { Store, StoreFactory, Validity } from "../api/store.js";
import { processWide } from "../runtime/process-wide.js";
import { locksNothing } from "../store/locks-nothing.js";
import { processNowMs } from "./memory-store.js";

/** One for each process, and for each copy of this package in it. */
const warned = processWide<{ isDone: boolean }>("noop-store", () => ({ isDone: false }));

/**
 * Grants everything at once: for a program that is sure to run alone. Fences rise and leases expire, but nothing excludes anybody. A process
 * warning says so, once.
 */
export function noopStore(): StoreFactory {
  let fence = 0n;
  /** Of those that have a maximum: when no renewal helps any more. */
  const limits = new Map<string, number>();
  const validity = (ttlMs: number, token: string): Validity => {
    const nowMs = processNowMs();
    return { nowMs, expiresAtMs: Math.min(nowMs + ttlMs, limits.get(token) ?? Number.POSITIVE_INFINITY) };
  };
  const store: Store = {
    [locksNothing]: true,
    name: "noop",
    features: { "shared-locks": { isOn: true, why: "it grants everything, however it is asked for" } },
    open: async () => ({ nowMs: processNowMs() }),
    acquire: async ({ token, ttlMs, maxHoldMs }) => {
      fence += 1n;
      if (maxHoldMs !== null) {
        limits.set(token, processNowMs() + maxHoldMs);
      }
      const granted = validity(ttlMs, token);
      return { outcome: "granted", fence, acquiredAtMs: granted.nowMs, ...granted };
    },
    release: async ({ token }) => {
      limits.delete(token);
      return { outcome: "released", reason: null };
    },
    abandon: async ({ token }) => {
      limits.delete(token);
      return { outcome: "gone", reason: null };
    },
    renew: async ({ token, ttlMs }) => ({ outcome: "renewed", ...validity(ttlMs, token) }),
    adopt: async ({ token, newToken, ttlMs, maxHoldMs }) => {
      const limit = limits.get(token) ?? limits.get(newToken) ?? Number.POSITIVE_INFINITY;
      const until = Math.min(limit, maxHoldMs === null ? limit : processNowMs() + maxHoldMs);
      limits.delete(token);
      if (until !== Number.POSITIVE_INFINITY) {
        limits.set(newToken, until);
      }
      const adopted = validity(ttlMs, newToken);
      const maxHoldUntilMs = limits.get(newToken) ?? null;
      // It remembers nothing of a grant, and does not know how it was asked for.
      const asked = { mode: "exclusive", capacity: null, weight: 1 } as const;
      return { outcome: "adopted", ...asked, acquiredAtMs: adopted.nowMs, maxHoldUntilMs, metadata: null, ...adopted };
    },
    check: async () => {
      const nowMs = processNowMs();
      const nobody = { holders: [], acquiredAtMs: null, freeAtMs: null, metadata: null, waiters: 0 };
      return { state: "free", mode: "exclusive", nowMs, ...nobody };
    },
    ping: async () => ({ ms: 0, serverVersion: "noop" }),
    close: async () => undefined,
  };
  return () => {
    if (!warned.isDone) {
      warned.isDone = true;
      const text =
        'store: "noop" locks nothing: every lock is granted at once, to everybody. Use it only in a program that runs alone.';
      process.emitWarning(text, { type: "LeaseholdWarning", code: "LEASEHOLD_NOOP_STORE" });
    }
    return store;
  };
}
