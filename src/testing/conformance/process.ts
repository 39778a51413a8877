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
import { checkStore } from "../../store/check-store.js";
import { holds } from "./assertions.js";

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
  /** What failed in the background. */
  readonly errors: unknown[] = [];
  #clock = { storeMs: 0, atMs: 0 };

  constructor(factory: StoreFactory) {
    const made = factory({
      requestTimeoutMs: 5_000,
      takeoverDelayMs: 5_000,
      onWake: (key) => void this.woken.push(key),
      onReconnected: () => undefined,
      onLost: () => undefined,
      onError: (error) => void this.errors.push(error),
    });
    this.store = answering(checkStore(made));
  }

  async open(): Promise<this> {
    const { nowMs } = await this.store.open();
    holds(Number.isFinite(nowMs), "open says the store's time, a finite number", nowMs);
    this.#clock = { storeMs: nowMs, atMs: performance.now() };
    return this;
  }

  has(feature: Feature): boolean {
    return this.store.features?.[feature]?.isOn === true;
  }

  /** A deadline that is far enough. */
  get #notAfterMs(): number {
    const { storeMs, atMs } = this.#clock;
    return storeMs + (performance.now() - atMs) + PATIENCE_MS;
  }

  ask(key: string, request: Partial<AcquireRequest> = {}): Promise<AcquireAnswer> {
    return this.store.acquire({
      key,
      token: randomUUID(),
      owner: "conformance",
      mode: "exclusive",
      capacity: null,
      weight: 1,
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
    holds(answer.outcome === "granted", "a key that is free is granted to whoever is next", answer);
    return { ...answer, key, token };
  }

  async refused(key: string, request: Partial<AcquireRequest> = {}): Promise<AcquireAnswer & { outcome: "held" }> {
    const answer = await this.ask(key, request);
    holds(answer.outcome === "held", "a try for a key that is not free is answered held", answer);
    return answer;
  }

  async queued(key: string, request: Partial<AcquireRequest> = {}): Promise<{ ticket: bigint; token: string }> {
    const token = request.token ?? randomUUID();
    const answer = await this.ask(key, { ...request, token, waits: true });
    holds(answer.outcome === "queued", "who waits for a key that is not free is queued", answer);
    return { ticket: answer.ticket, token };
  }

  /** Lets go of what it holds, as a locker does before it hands it over. */
  detach({ key, token, fence }: GrantRequest, ttlMs = 60_000): Promise<RenewAnswer> {
    const request = { key, token, fence, ttlMs };
    return this.store.detach?.(request) ?? this.store.renew(request);
  }

  adopt({ key, token, fence }: GrantRequest, request: Partial<AdoptRequest> = {}): Promise<AdoptAnswer> {
    const { store } = this;
    holds(store.adopt !== undefined, "the store has adopt()", store.name);
    const terms = { newToken: randomUUID(), owner: "adopter", ttlMs: 60_000, maxHoldMs: null };
    return store.adopt({ key, token, fence, ...terms, notAfterMs: this.#notAfterMs, ...request });
  }

  /** Adopts it, or fails. */
  async takeOver(grant: GrantRequest, request: Partial<AdoptRequest> = {}): Promise<AdoptedAnswer & GrantRequest> {
    const newToken = request.newToken ?? randomUUID();
    const answer = await this.adopt(grant, { ...request, newToken });
    holds(answer.outcome === "adopted", "a grant that is handed over is adopted", answer);
    return { ...answer, key: grant.key, token: newToken, fence: grant.fence };
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

/** The fences of those that have the key, the oldest first. */
export async function fencesOf({ store }: Process, key: string): Promise<readonly bigint[]> {
  return (await store.check(key)).holders.map(({ fence }) => fence);
}

/** The methods whose answer is an object. */
const asked: readonly PropertyKey[] = [
  "open",
  "acquire",
  "release",
  "abandon",
  "renew",
  "check",
  "ping",
  "sweep",
  "forceRelease",
  "adopt",
  "detach",
] satisfies (keyof Store)[];

/** The same store, which fails when it answers nothing: otherwise a test would fail by what it reads of the answer. */
function answering(store: Store): Store {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") {
        return member;
      }
      const ask = member.bind(target);
      return asked.includes(name) ? (...given: unknown[]) => answerOf(String(name), ask, given) : ask;
    },
  });
}

async function answerOf(name: string, ask: (...given: unknown[]) => unknown, given: unknown[]): Promise<unknown> {
  const answer = await ask(...given);
  holds(typeof answer === "object" && answer !== null, `${name}() answers an object`, answer);
  return answer;
}

/** Asks until there is an answer. */
export async function eventually<Value>(
  what: string,
  ask: () => Value | undefined | Promise<Value | undefined>,
): Promise<Value> {
  for (const endMs = performance.now() + PATIENCE_MS; ; await sleep(10)) {
    const found = await ask();
    if (found !== undefined) {
      return found;
    }
    holds(performance.now() < endMs, `${what}, within ${PATIENCE_MS} ms`, "nothing of it");
  }
}
