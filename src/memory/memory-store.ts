import type { FeatureState } from "../api/capabilities.js";
import type { PingResult, SweepResult } from "../api/results.js";
import type {
  AbandonRequest,
  AcquireAnswer,
  AcquireRequest,
  AdoptAnswer,
  AdoptRequest,
  ForceReleaseAnswer,
  ForceReleaseRequest,
  GrantRequest,
  KeyState,
  OpenAnswer,
  ReleaseAnswer,
  RenewAnswer,
  RenewRequest,
  Store,
  StoreContext,
  StoreFactory,
} from "../api/store.js";
import { type LossReason, UnavailableError } from "../errors/errors.js";
import { systemClock } from "../runtime/clock.js";
import { processWide } from "../runtime/process-wide.js";
import { VERSION } from "../runtime/version.js";
import { MemoryLeases } from "./memory-leases.js";
import type { MemoryProcess } from "./memory-process.js";

const inMemory = "it is in the memory of this process";

const features: Store["features"] = {
  "crash-detection": on("a process that was declared dead loses its locks after its takeoverDelayMs"),
  queue: on("waiters are served in the order in which they queued"),
  "wake-ups": on("the next waiter is woken"),
  "shared-locks": on("shares of a key are kept beside each other"),
  "force-release": on("there are no roles"),
  "guarded-writes": off(`${inMemory}, not in a database whose transactions it could guard`),
  "bounded-transactions": off(`${inMemory}, not in a database`),
  "failover-fences": off(`${inMemory}: fences begin anew with the process`),
  "named-statements": off("it sends no statements"),
  durable: off(`${inMemory}, and ends with it`),
};

/** One process's view of leases in memory. */
export class MemoryStore implements Store, MemoryProcess {
  readonly name: string = "memory";
  readonly features: Store["features"] = features;
  diedAtMs: number | null = null;
  orphanedAtMs: number = Number.POSITIVE_INFINITY;
  readonly #leases: MemoryLeases;
  readonly #context: StoreContext;

  constructor(leases: MemoryLeases, context: StoreContext) {
    this.#leases = leases;
    this.#context = context;
  }

  open(): Promise<OpenAnswer> {
    return this.diedAtMs !== null ? refuse() : Promise.resolve({ nowMs: this.#leases.nowMs() });
  }

  acquire(request: AcquireRequest): Promise<AcquireAnswer> {
    return this.diedAtMs !== null ? refuse() : Promise.resolve(this.#leases.acquire(request, this));
  }

  release(request: GrantRequest): Promise<ReleaseAnswer> {
    return this.diedAtMs !== null ? refuse() : Promise.resolve(this.#leases.release(request));
  }

  abandon(request: AbandonRequest): Promise<ReleaseAnswer> {
    return this.diedAtMs !== null ? refuse() : Promise.resolve(this.#leases.abandon(request));
  }

  renew(request: RenewRequest): Promise<RenewAnswer> {
    return this.diedAtMs !== null ? refuse() : Promise.resolve(this.#leases.renew(request, this));
  }

  detach(request: RenewRequest): Promise<RenewAnswer> {
    return this.diedAtMs !== null ? refuse() : Promise.resolve(this.#leases.detach(request, this));
  }

  adopt(request: AdoptRequest): Promise<AdoptAnswer> {
    return this.diedAtMs !== null ? refuse() : Promise.resolve(this.#leases.adopt(request, this));
  }

  check(key: string): Promise<KeyState> {
    return this.diedAtMs !== null ? refuse() : Promise.resolve(this.#leases.check(key));
  }

  forceRelease(request: ForceReleaseRequest): Promise<ForceReleaseAnswer> {
    return this.diedAtMs !== null ? refuse() : Promise.resolve(this.#leases.forceRelease(request));
  }

  checkFence(resource: string, fence: bigint): Promise<"passed" | "stale"> {
    return this.diedAtMs !== null ? refuse() : Promise.resolve(this.#leases.checkFence(resource, fence));
  }

  sweep(): Promise<SweepResult> {
    if (this.diedAtMs !== null) {
      return refuse();
    }
    const { leases, waiters } = this.#leases.sweep();
    return Promise.resolve({
      woken: 0,
      leasesPurged: leases,
      waitersPurged: waiters,
      sessionsPurged: 0,
      countersPurged: 0,
      isBusy: false,
    });
  }

  ping(): Promise<PingResult> {
    return this.diedAtMs !== null ? refuse() : Promise.resolve({ ms: 0, serverVersion: this.name });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Declares this process dead: it can ask for nothing any more, and its locks are free after its `takeoverDelayMs`. */
  crash(): void {
    if (this.diedAtMs !== null) {
      return;
    }
    this.diedAtMs = this.#leases.nowMs();
    this.orphanedAtMs = this.diedAtMs + this.#context.takeoverDelayMs;
    this.#context.onReconnected(); // it does not believe in its locks any more
    this.#leases.died(this);
  }

  wake(key: string): void {
    this.#context.onWake(key);
  }

  lost(grant: GrantRequest, reason: LossReason): void {
    this.#context.onLost(grant, reason);
  }
}

function refuse(): Promise<never> {
  const message = "This process was declared dead: nothing was sent.";
  return Promise.reject(new UnavailableError({ outcome: "not-sent", message }));
}

/** The time of this process, which nobody can set, in milliseconds since 1970. */
const originMs = systemClock.wallNowMs() - systemClock.monotonicNowMs();
export const processNowMs = (): number => originMs + systemClock.monotonicNowMs();

/** Leases in this process. Lockers that are given the same factory share them. */
export function memoryStore(): StoreFactory {
  const leases = new MemoryLeases(processNowMs);
  return (context) => new MemoryStore(leases, context);
}

/** The one that `store: "memory"` means: one for the process and each instance, over hot reloads and over both copies of this package. */
export function sharedMemoryStore(instance: string | null = null): StoreFactory {
  const name = instance === null ? `memory.${VERSION}` : `memory.${VERSION}.instance.${instance}`;
  return processWide<{ readonly make: StoreFactory }>(name, () => ({ make: memoryStore() })).make;
}

function on(why: string): FeatureState {
  return { isOn: true, why };
}

function off(why: string): FeatureState {
  return { isOn: false, why };
}
