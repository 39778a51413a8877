// Writes down what a worker sees: by its own looks at `lock.held`, not by what the library says of itself.
import { LeaseLostError, type Lock } from "../../src/index.js";
import type { Attempt, Belief, Call, Grant, History, Loss, Route, Stall } from "./history.js";
import { nowMs } from "./history.js";

const LOOK_EVERY_MS = 5;
/** A gap between two looks that says that the event loop, or the machine, stood still. */
const STALL_MS = 100;

interface Watched {
  readonly lock: Lock;
  readonly grant: Grant;
  belief: { readonly grant: Grant; readonly from: number; to: number } | null;
}

export class Recorder {
  readonly #worker: string;
  readonly #route: Route;
  readonly #grants: Grant[] = [];
  readonly #beliefs: Belief[] = [];
  readonly #losses: Loss[] = [];
  readonly #calls: Call[] = [];
  readonly #attempts: Attempt[] = [];
  readonly #stalls: Stall[] = [];
  readonly #watched = new Set<Watched>();
  readonly #open = new Set<Omit<Call, "to" | "until">>();
  readonly #timer: NodeJS.Timeout;
  #lookedAt = nowMs();

  constructor(worker: string, route: Route) {
    this.#worker = worker;
    this.#route = route;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** A call, and how long it may take at most. */
  async call<T>(name: string, limitMs: number, run: () => Promise<T>): Promise<T> {
    const call = { name, worker: this.#worker, from: nowMs(), limitMs };
    this.#open.add(call);
    try {
      return await run();
    } finally {
      this.#open.delete(call);
      const to = nowMs();
      this.#calls.push({ ...call, to, until: to });
    }
  }

  /** A lock that was just granted. Returns what ends the watching: call it before the release. */
  watch(lock: Lock, asked: number, capacity: number | null = 1): () => void {
    const grant: Grant = {
      key: lock.key,
      fence: lock.fence,
      mode: capacity === 1 ? "exclusive" : capacity === null ? "shared" : "semaphore",
      capacity,
      worker: this.#worker,
      route: this.#route,
      asked,
      at: nowMs(),
    };
    this.#grants.push(grant);
    const watched: Watched = { lock, grant, belief: null };
    this.#watched.add(watched);
    this.#lookAt(watched);
    lock.signal.addEventListener("abort", () => {
      const { reason } = lock.signal;
      this.#losses.push({ grant, at: nowMs(), reason: reason instanceof LeaseLostError ? reason.reason : `${reason}` });
    });
    return () => {
      this.#lookAt(watched);
      if (watched.belief) this.#beliefs.push(watched.belief);
      this.#watched.delete(watched);
    };
  }

  attempt(attempt: Omit<Attempt, "worker" | "to">): void {
    this.#attempts.push({ ...attempt, worker: this.#worker, to: nowMs() });
  }

  /** All of it; what is still open counts until now. */
  end(): History {
    clearInterval(this.#timer);
    const until = nowMs();
    for (const { belief } of this.#watched) if (belief) this.#beliefs.push(belief);
    for (const call of this.#open) this.#calls.push({ ...call, to: null, until });
    return {
      grants: this.#grants,
      beliefs: this.#beliefs,
      losses: this.#losses,
      calls: this.#calls,
      attempts: this.#attempts,
      stalls: this.#stalls,
    };
  }

  #look(): void {
    const now = nowMs();
    if (now - this.#lookedAt > STALL_MS) this.#stalls.push({ worker: this.#worker, from: this.#lookedAt, to: now });
    this.#lookedAt = now;
    for (const watched of this.#watched) this.#lookAt(watched);
  }

  #lookAt(watched: Watched): void {
    // before it asks: what is true then was true at this moment, or later
    const at = nowMs();
    if (!watched.lock.held) {
      if (watched.belief) this.#beliefs.push(watched.belief);
      watched.belief = null;
      return;
    }
    watched.belief ??= { grant: watched.grant, from: at, to: at };
    watched.belief.to = at;
  }
}
