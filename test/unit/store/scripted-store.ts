// A store of somebody's own that does what the test says, call by call.
import type { Store, StoreContext, StoreFactory } from "../../../src/api/store.js";
import { now } from "../../../src/runtime/clock.js";

export class ScriptedStore implements Store {
  readonly name: string = "scripted";
  features: Store["features"] = {};
  /** What was asked, in order. */
  readonly asked: { readonly method: string; readonly request: unknown }[] = [];
  /** Ahead of this process's clock. */
  aheadMs = 0;
  fence = 100n;
  context!: StoreContext;
  readonly make: StoreFactory = (context) => {
    this.context = context;
    return this;
  };
  /** Answers in place of the usual ones. */
  readonly answers: { [Method in keyof Store]?: (request: never) => unknown } = {};

  get nowMs(): number {
    return now().wallMs + this.aheadMs;
  }

  open = this.#method("open", () => ({ nowMs: this.nowMs })) as Store["open"];
  acquire = this.#method("acquire", ({ ttlMs }: { readonly ttlMs: number }) => {
    this.fence += 1n;
    const { nowMs } = this;
    return { outcome: "granted", fence: this.fence, acquiredAtMs: nowMs, nowMs, expiresAtMs: nowMs + ttlMs };
  }) as Store["acquire"];
  release = this.#method("release", () => ({ outcome: "released", reason: null })) as Store["release"];
  abandon = this.#method("abandon", () => ({ outcome: "gone", reason: null })) as Store["abandon"];
  renew = this.#method("renew", ({ ttlMs }: { readonly ttlMs: number }) => {
    const { nowMs } = this;
    return { outcome: "renewed", nowMs, expiresAtMs: nowMs + Math.max(ttlMs, 1_000) };
  }) as Store["renew"];
  check = this.#method("check", () => ({
    state: "free",
    mode: "exclusive",
    holders: [],
    acquiredAtMs: null,
    freeAtMs: null,
    nowMs: this.nowMs,
    metadata: null,
    waiters: 0,
  })) as Store["check"];
  ping = this.#method("ping", () => ({ ms: 1, serverVersion: "scripted 1" })) as Store["ping"];
  close = this.#method("close", () => undefined) as Store["close"];

  requests(method: keyof Store): unknown[] {
    return this.asked.filter((one) => one.method === method).map(({ request }) => request);
  }

  #method<Request, Answer>(
    method: keyof Store,
    usual: (request: Request) => Answer,
  ): (request: Request) => Promise<Answer> {
    // Not an async function: what the test throws here is thrown to the caller.
    return (request) => {
      this.asked.push({ method, request });
      const answer = this.answers[method] as ((request: Request) => Answer) | undefined;
      return Promise.resolve((answer ?? usual)(request));
    };
  }
}

/** Of a promise that is never settled. */
export const never = (): Promise<never> => new Promise(() => undefined);
