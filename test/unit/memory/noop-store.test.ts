// A store that locks nothing: it says so, once.
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { AcquireRequest, Store, StoreContext } from "../../../src/api/store.js";
import { noopStore } from "../../../src/store.js";
import { clock } from "../manual-clock.js";

const warnings = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
beforeEach(() => void warnings.mockClear());

const context: StoreContext = {
  requestTimeoutMs: 5_000,
  takeoverDelayMs: 5_000,
  onWake: () => undefined,
  onReconnected: () => undefined,
  onLost: () => undefined,
  onError: () => undefined,
};

async function take(store: Store, token: string, terms: Partial<AcquireRequest> = {}) {
  const answer = await store.acquire({
    key: "a",
    token,
    owner: "me",
    mode: "exclusive",
    capacity: null,
    weight: 1,
    ttlMs: 1_000,
    minHoldMs: 0,
    maxHoldMs: null,
    metadata: null,
    waits: false,
    ticket: null,
    notAfterMs: 0,
    ...terms,
  });
  if (answer.outcome !== "granted") throw new Error(`it answered ${answer.outcome}`);
  return { ...answer, key: "a", token };
}

test("says once for a process that nothing is locked, when the first locker is made", () => {
  const make = noopStore();
  expect(warnings).not.toHaveBeenCalled();
  make(context);
  make(context);
  noopStore()(context);
  expect(warnings.mock.calls).toEqual([
    [expect.stringMatching(/locks nothing/), { type: "LeaseholdWarning", code: "LEASEHOLD_NOOP_STORE" }],
  ]);
});

describe("the store", () => {
  test("grants everybody at once, with fences that rise", async () => {
    const make = noopStore();
    const [one, other] = [make(context), make(context)];
    const grants = [await take(one, "x"), await take(other, "y"), await take(one, "z")];
    expect(grants.map(({ fence }) => fence)).toEqual([1n, 2n, 3n]);
    expect(await one.check("a")).toMatchObject({ state: "free", waiters: 0 });
    expect(await one.release(grants[0] ?? never())).toEqual({ outcome: "released", reason: null });
  });

  test("gives each grant its time, and none beyond its maximum hold", async () => {
    const store = noopStore()(context);
    const plain = await take(store, "x");
    expect(plain.expiresAtMs - plain.nowMs).toBe(1_000);
    const limited = await take(store, "y", { maxHoldMs: 1_500 });
    await clock.pass(1_000);
    const renewed = await store.renew({ ...limited, ttlMs: 1_000 });
    expect(renewed).toMatchObject({ outcome: "renewed", expiresAtMs: limited.acquiredAtMs + 1_500 });
    expect(await store.renew({ ...plain, ttlMs: 1_000 })).toMatchObject({ expiresAtMs: plain.nowMs + 2_000 });
  });
});

function never(): never {
  throw new Error("there were three");
}
