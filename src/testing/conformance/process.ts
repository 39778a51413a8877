import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Feature } from "../../api/capabilities.js";
import type {
  AcquireAnswer,
  AcquireRequest,
  AdoptAnswer,
  AdoptedAnswer,
  AdoptRequest,
  GrantedAnswer,
  GrantRequest,
  KeyState,
  RenewAnswer,
  Store,
  StoreFactory,
} from "../../api/store.js";

/** How long a test waits for what should come soon. */
const PATIENCE_MS = 20_000;

/** A grant, with what is needed to speak of it. */
export interface Held extends GrantedAnswer {
  readonly key: string;
  readonly token: string;
}

/** One process: a store, and what a locker does with it. */
export class Process {
  readonly store: Store;
  /** The keys that it was woken for; null: any. */
  readonly woken: (string | null)[] = [];
  #clock: { readonly storeMs: number; readonly atMs: number } | null = null;

  constructor(factory: StoreFactory) {
    this.store = factory({
      requestTimeoutMs: 5_000,
      takeoverDelayMs: 5_000,
      onWake: (key) => void this.woken.push(key),
      onReconnected: () => undefined,
      onLost: () => undefined,
      onError: (error) => {
        throw error;
      },
    });
  }

  async open(): Promise<this> {
    const { nowMs } = await this.store.open();
    assert.ok(Number.isFinite(nowMs), `open says its time as a finite number, not ${nowMs}`);
    this.#clock = { storeMs: nowMs, atMs: performance.now() };
    return this;
  }

  has(feature: Feature): boolean {
    return this.store.features[feature]?.isOn === true;
  }

  /** A deadline that is far enough. */
  get #notAfterMs(): number {
    assert.ok(this.#clock !== null);
    return this.#clock.storeMs + (performance.now() - this.#clock.atMs) + PATIENCE_MS;
  }

  ask(key: string, request: Partial<AcquireRequest> = {}): Promise<AcquireAnswer> {
    return this.store.acquire({
      key,
      token: randomUUID(),
      owner: "conformance",
      ttlMs: 60_000,
      minHoldMs: 0,
      maxHoldMs: null,
      metadata: null,
      waits: false,
      ticket: null,
      notAfterMs: this.#notAfterMs,
      ...request,
    });
  }

  /** Is granted the key, or fails. */
  async take(key: string, request: Partial<AcquireRequest> = {}): Promise<Held> {
    const token = request.token ?? randomUUID();
    const answer = await this.ask(key, { ...request, token });
    assert.equal(
      answer.outcome,
      "granted",
      `a key that is free and that nobody waits for is granted, not ${show(answer)}`,
    );
    return { ...(answer as GrantedAnswer), key, token };
  }

  async refused(key: string, request: Partial<AcquireRequest> = {}): Promise<AcquireAnswer & { outcome: "held" }> {
    const answer = await this.ask(key, request);
    assert.equal(answer.outcome, "held", `a try for a key that is kept is answered held, not ${show(answer)}`);
    return answer as AcquireAnswer & { outcome: "held" };
  }

  async queued(key: string, request: Partial<AcquireRequest> = {}): Promise<{ ticket: bigint; token: string }> {
    const token = request.token ?? randomUUID();
    const answer = await this.ask(key, { ...request, token, waits: true });
    assert.equal(answer.outcome, "queued", `who waits for a key that is kept is queued, not ${show(answer)}`);
    return { ticket: (answer as AcquireAnswer & { outcome: "queued" }).ticket, token };
  }

  /** Lets go of what it holds, as a locker does before it hands it over. */
  detach({ key, token, fence }: GrantRequest, ttlMs = 60_000): Promise<RenewAnswer> {
    const request = { key, token, fence, ttlMs };
    return this.store.detach?.(request) ?? this.store.renew(request);
  }

  adopt({ key, token, fence }: GrantRequest, request: Partial<AdoptRequest> = {}): Promise<AdoptAnswer> {
    const { store } = this;
    assert.ok(store.adopt !== undefined);
    const terms = { newToken: randomUUID(), owner: "adopter", ttlMs: 60_000, maxHoldMs: null };
    return store.adopt({ key, token, fence, ...terms, notAfterMs: this.#notAfterMs, ...request });
  }

  /** Adopts it, or fails. */
  async takeOver(grant: GrantRequest, request: Partial<AdoptRequest> = {}): Promise<AdoptedAnswer & GrantRequest> {
    const newToken = request.newToken ?? randomUUID();
    const answer = await this.adopt(grant, { ...request, newToken });
    assert.equal(answer.outcome, "adopted", `a grant that is handed over is adopted, not ${show(answer)}`);
    return { ...(answer as AdoptedAnswer), key: grant.key, token: newToken, fence: grant.fence };
  }

  /** Waits until the store's clock says so. */
  async until(storeMs: number): Promise<void> {
    for (let nowMs = await this.now(); nowMs <= storeMs; nowMs = await this.now()) {
      await sleep(Math.min(Math.max(storeMs - nowMs, 1), 200));
    }
  }

  async now(): Promise<number> {
    return (await this.store.check("conformance:clock")).nowMs;
  }

  async state(key: string): Promise<KeyState["state"]> {
    return (await this.store.check(key)).state;
  }
}

/** Waits until it is so. */
export async function eventually(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const endMs = performance.now() + PATIENCE_MS; !(await isSo()); await sleep(10)) {
    assert.ok(performance.now() < endMs, `within ${PATIENCE_MS} ms: ${what}`);
  }
}

export function show(value: unknown): string {
  return JSON.stringify(value, (_, part) => (typeof part === "bigint" ? `${part}n` : part));
}
