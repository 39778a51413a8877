import type { Capabilities } from "../api/capabilities.js";
import type { MigrateOptions } from "../api/migrate-options.js";
import type { PingResult } from "../api/results.js";
import type * as port from "../api/store.js";
import { ClosedError, type LeaseholdError, type UnavailableError } from "../errors/errors.js";
import { after, type Clock, type Instant } from "../runtime/clock.js";
import { RequestTimeout, withTimeoutOf } from "../runtime/timeout.js";
import {
  type Asked,
  answered,
  finiteMs,
  toAcquireAnswer,
  toAdoptAnswer,
  toFenceOutcome,
  toForceReleaseAnswer,
  toKeyState,
  toPingResult,
  toReleaseAnswer,
  toRenewAnswer,
  toRequest,
  toSweepBatch,
} from "./answers.js";
import type {
  AbandonRequest,
  AcquireAnswer,
  AcquireRequest,
  AdoptAnswer,
  AdoptRequest,
  Backend,
  BackendEvents,
  DetachRequest,
  FirstAttempt,
  ForceReleaseAnswer,
  ForceReleaseRequest,
  KeepEntriesRequest,
  KeyState,
  PendingRelease,
  PendingRenewal,
  QueueEntry,
  ReleaseAnswer,
  RenewAnswer,
  SweepBatch,
} from "./backend.js";
import type { StoreState } from "./backend-state.js";
import { checkStore, featuresOf } from "./check-store.js";
import { locksNothing } from "./locks-nothing.js";
import { ServerClock } from "./server-clock.js";
import { StoreCalls } from "./store-calls.js";

/** What a sweep of a store says in which nothing is left over. */
const nothingSwept: SweepBatch = {
  woken: 0,
  leasesPurged: 0,
  waitersPurged: 0,
  sessionsPurged: 0,
  countersPurged: 0,
  isBusy: false,
  hasMore: false,
};

export interface StoreBackendInit {
  readonly makeStore: port.StoreFactory;
  readonly events: BackendEvents;
  readonly requestTimeoutMs: number;
  readonly takeoverDelayMs: number;
  readonly clock: Clock;
}

/** A backend over the public port: it does what every store would do alike. */
export class StoreBackend implements Backend {
  readonly clock: Clock;
  readonly excludes: boolean;
  readonly connections = null;
  /** There are no transactions here that a call could wait for. */
  readonly refuseHere = null;
  readonly databaseId = null;
  /** `incarnation`: how often what stood for this process was replaced. */
  readonly presence = { incarnation: 0, isBelieved: true, sessionId: null };
  /** Set here alone. */
  isReady = false;
  wasReady = false;
  readonly #store: port.Store;
  readonly #events: BackendEvents;
  readonly #calls: StoreCalls;
  readonly #requestTimeoutMs: number;
  readonly #storeClock = new ServerClock();
  #opening: Promise<void> | null = null;

  constructor({ makeStore, events, requestTimeoutMs, takeoverDelayMs, clock }: StoreBackendInit) {
    this.clock = clock;
    this.#events = events;
    this.#requestTimeoutMs = requestTimeoutMs;
    // While it is made nothing is held and nobody waits: there is nothing to tell, and nobody yet who could be told.
    let isMade = false;
    const store = makeStore({
      requestTimeoutMs,
      takeoverDelayMs,
      onWake: (key) => isMade && events.onWake(key),
      onReconnected: () => {
        this.presence.incarnation += 1;
        if (isMade) events.onReconnected();
      },
      onLost: (grant, reason) => isMade && events.onLost(grant, reason),
      onError: (error) => events.onError(error),
    });
    this.#store = checkStore(store);
    isMade = true;
    this.excludes = !(locksNothing in this.#store);
    this.#calls = new StoreCalls({
      store: this.#store,
      clock,
      requestTimeoutMs,
      onFailure: (error) => events.onFailure(error),
    });
  }

  async open(timeoutMs: number): Promise<void> {
    if (this.#calls.isClosed) {
      throw new ClosedError();
    }
    if (this.isReady) {
      return;
    }
    // One for all who ask meanwhile.
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null;
    });
    try {
      await withTimeoutOf(this.clock, this.#opening, timeoutMs);
    } catch (error) {
      // What was to be sent after it was not.
      throw error instanceof RequestTimeout ? this.#calls.late("open", "not-sent", error) : error;
    }
  }

  attempt(attempt: FirstAttempt): void {
    const { key, token, terms, deadline } = attempt;
    // It has just begun: one look at the clocks less.
    const asked = this.#asked(after(deadline, -this.#requestTimeoutMs));
    this.#acquire(toRequest(key, token, terms, this.serverTimeAt(deadline) ?? 0, null), asked).then(
      (answer) => attempt.onAnswer(answer),
      (error: LeaseholdError) => attempt.onFailure(error),
    );
  }

  acquire({ key, token, terms, notAfterMs, ticket }: AcquireRequest): Promise<AcquireAnswer> {
    const request = toRequest(key, token, terms, notAfterMs, ticket?.number ?? null);
    return this.#acquire(request, this.#asked(this.clock.now()));
  }

  /** Each waiter has to look for itself. */
  async keepEntries({ entries }: KeepEntriesRequest): Promise<readonly QueueEntry[]> {
    return entries;
  }

  release(release: PendingRelease): void {
    const { key, token, fence } = release;
    this.#calls
      .ask(
        "release",
        () => this.#store.release({ key, token, fence }),
        (answer) => toReleaseAnswer(answered(answer)),
      )
      .then(
        (answer) => release.onAnswer(answer),
        (error: LeaseholdError) => release.onFailure(error),
      );
  }

  abandon({ key, token, wasHeld }: AbandonRequest): Promise<ReleaseAnswer> {
    return this.#calls.askInTime(
      "abandon",
      () => this.#store.abandon({ key, token, wasHeld }),
      (answer) => toReleaseAnswer(answered(answer)),
    );
  }

  renew(renewal: PendingRenewal): void {
    const { key, token, fence, askedTtlMs } = renewal;
    this.#renew("renew", () => this.#store.renew({ key, token, fence, ttlMs: askedTtlMs ?? 0 })).then(
      (answer) => renewal.onAnswer(answer),
      (error: LeaseholdError) => renewal.onFailure(error),
    );
  }

  detach({ key, token, fence, ttlMs }: DetachRequest): Promise<RenewAnswer> {
    return this.#renew("detach", () => {
      this.#adopting(); // or nobody could go on with it
      const request = { key, token, fence, ttlMs };
      return this.#store.detach === undefined ? this.#store.renew(request) : this.#store.detach(request);
    });
  }

  adopt({ terms: { owner, ttlMs, maxHoldMs }, ...request }: AdoptRequest): Promise<AdoptAnswer> {
    const asked = this.#asked(this.clock.now());
    const limit = maxHoldMs === Number.POSITIVE_INFINITY ? null : maxHoldMs;
    return this.#calls.ask(
      "adopt",
      () => this.#adopting()({ ...request, owner, ttlMs, maxHoldMs: limit }),
      (given) => {
        const answer = answered(given);
        if ("nowMs" in answer) {
          this.#learn(answer.nowMs);
        }
        return toAdoptAnswer(answer, asked);
      },
    );
  }

  check(key: string): Promise<KeyState> {
    return this.#calls.ask(
      "check",
      () => this.#store.check(key),
      (answer) => {
        this.#learn(answered(answer).nowMs);
        return toKeyState(answer);
      },
    );
  }

  /** Asked by guards alone, which are refused. */
  async holderOf(): Promise<null> {
    return null;
  }

  migrate(options: MigrateOptions): Promise<void> {
    return this.#calls.ask("migrate", async () => this.#store.migrate?.(options), nothing);
  }

  sweep(): Promise<SweepBatch> {
    const { sweep } = this.#store;
    if (sweep === undefined) {
      return Promise.resolve(nothingSwept);
    }
    return this.#calls.askInTime(
      "sweep",
      () => sweep.call(this.#store),
      (result) => toSweepBatch(answered(result)),
    );
  }

  forceRelease({ key, fence, isImmediate }: ForceReleaseRequest): Promise<ForceReleaseAnswer> {
    return this.#calls.ask(
      "forceRelease",
      async () => {
        if (this.#store.forceRelease === undefined) {
          throw this.#calls.unsupported("cannot take locks from their holders");
        }
        return await this.#store.forceRelease({ key, fence, immediate: isImmediate });
      },
      (answer) => toForceReleaseAnswer(answered(answer)),
    );
  }

  checkFence(resource: string, fence: bigint): Promise<"passed" | "stale"> {
    return this.#calls.ask(
      "checkFence",
      async () => {
        if (this.#store.checkFence === undefined) {
          throw this.#calls.unsupported("keeps no marks of resources");
        }
        return await this.#store.checkFence(resource, fence);
      },
      toFenceOutcome,
    );
  }

  refuseGuard(): void {
    throw this.#calls.unsupported("is not in a database in which a transaction could be guarded");
  }

  ping(): Promise<PingResult> {
    return this.#calls.askInTime(
      "ping",
      () => this.#store.ping(),
      (result) => toPingResult(answered(result)),
    );
  }

  async describeServer(): Promise<StoreState> {
    const { ms, serverVersion } = await this.ping();
    return { ms, version: serverVersion };
  }

  async capabilities(): Promise<Capabilities> {
    const { serverVersion } = await this.ping();
    return {
      serverVersion,
      schemaVersion: null,
      presence: "off",
      fenceSource: "auto",
      commands: "direct",
      features: featuresOf(this.#store),
    };
  }

  serverTimeAt(instant: Instant): number | null {
    return this.#storeClock.at(instant);
  }

  /** Nobody waits for it. */
  async rest(): Promise<void> {
    try {
      await this.#store.rest?.();
    } catch (error) {
      this.#events.onError(this.#calls.toPublicError("rest", error));
    }
  }

  async close(timeoutMs: number): Promise<void> {
    this.#calls.isClosed = true;
    this.isReady = false;
    try {
      await withTimeoutOf(this.clock, Promise.resolve(this.#store.close()), timeoutMs);
    } catch (error) {
      this.#events.onError(this.#calls.toPublicError("close", error));
    }
  }

  /** Who waits for whom is known of Postgres alone. */
  async findDeadlock(): Promise<null> {
    return null;
  }

  /** Nothing is known of what was in the way. */
  async explain(error: UnavailableError): Promise<UnavailableError> {
    return error.cause instanceof RequestTimeout ? this.#calls.late("a request", error.outcome, error.cause) : error;
  }

  async findDatabaseId(): Promise<void> {
    // It is in none.
  }

  async flushCounters(): Promise<void> {
    // They stay in the process.
  }

  #renew(method: string, send: () => Promise<port.RenewAnswer>): Promise<RenewAnswer> {
    const asked = this.#asked(this.clock.now());
    return this.#calls.askInTime(method, send, (given) => {
      const answer = answered(given);
      if (answer.outcome === "renewed") {
        this.#learn(answer.nowMs);
      }
      return toRenewAnswer(answer, asked);
    });
  }

  /** @throws UnsupportedError */
  #adopting(): NonNullable<port.Store["adopt"]> {
    const { adopt } = this.#store;
    if (adopt === undefined) {
      throw this.#calls.unsupported("does not let locks be handed over");
    }
    return (request) => adopt.call(this.#store, request);
  }

  #asked(sentAt: Instant): Asked {
    return { sentAt, incarnation: this.presence.incarnation };
  }

  #acquire(request: port.AcquireRequest, asked: Asked): Promise<AcquireAnswer> {
    const read = (given: port.AcquireAnswer): AcquireAnswer => {
      const answer = answered(given);
      if ("nowMs" in answer) {
        this.#learn(answer.nowMs);
      }
      return toAcquireAnswer(answer, asked);
    };
    return this.#calls.ask("acquire", () => this.#store.acquire(request), read);
  }

  async #open(): Promise<void> {
    await this.#calls.ask(
      "open",
      () => this.#store.open(),
      (answer) => this.#learn(answered(answer).nowMs),
    );
    this.isReady = !this.#calls.isClosed;
    this.wasReady = true;
  }

  #learn(storeMs: number): void {
    this.#storeClock.learn(finiteMs("nowMs", storeMs), this.clock.monotonicNowMs());
  }
}

function nothing(): void {
  // Its answer says no more than that it is done.
}
