import type { Capabilities, Feature } from "../api/capabilities.js";
import type { MigrateOptions } from "../api/migrate-options.js";
import type { PingResult } from "../api/results.js";
import type * as port from "../api/store.js";
import { type ShareTerms, shareOption } from "../config/share.js";
import type { LeaseholdError, UnavailableError, UnsupportedError } from "../errors/errors.js";
import type { Clock, Instant } from "../runtime/clock.js";
import { RequestTimeout } from "../runtime/timeout.js";
import { answered, finiteMs } from "./answer-checks.js";
import {
  type Asked,
  nothingSwept,
  toAcquireAnswer,
  toAdoptAnswer,
  toFenceOutcome,
  toForceReleaseAnswer,
  toKeyState,
  toPingResult,
  toReleaseAnswer,
  toRenewAnswer,
  toRequest,
  toSharedReleaseAnswer,
  toSweepBatch,
} from "./answers.js";
import type { Backend, BackendEvents } from "./backend.js";
import type { StoreState } from "./backend-state.js";
import { capabilitiesOf, checkStore } from "./check-store.js";
import { locksNothing } from "./locks-nothing.js";
import type * as inner from "./messages.js";
import { optional, unsupported } from "./optional.js";
import { ServerClock } from "./server-clock.js";
import { StoreCalls } from "./store-calls.js";
import { StoreOpening } from "./store-opening.js";

/** For so long what an answer said of the store's time is not worth a second look. */
const LEARN_AFTER_MS = 100;

export interface StoreBackendInit {
  readonly makeStore: port.StoreFactory;
  readonly events: BackendEvents;
  readonly requestTimeoutMs: number;
  readonly takeoverDelayMs: number;
  readonly clock: Clock;
}

/** A backend over the public port: it does what every store would do alike. Types of the port are `port.`, those of the locker's parts `inner.` */
export class StoreBackend implements Backend {
  readonly clock: Clock;
  readonly excludes: boolean;
  readonly connections = null;
  /** There are no transactions here that a call could wait for. */
  readonly refuseHere = null;
  /** The port asks for one key at a time. */
  readonly acquireAll = null;
  readonly databaseId = null;
  /** `incarnation`: how often what stood for this process was replaced. */
  readonly presence = { incarnation: 0, isBelieved: true, sessionId: null };
  readonly #store: port.Store;
  readonly #events: BackendEvents;
  readonly #calls: StoreCalls;
  readonly #opening: StoreOpening;
  readonly #requestTimeoutMs: number;
  readonly #storeClock = new ServerClock();

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
    this.#opening = new StoreOpening({
      store: this.#store,
      calls: this.#calls,
      clock,
      onOpen: (nowMs) => this.#learn(nowMs),
    });
  }

  get isReady(): boolean {
    return this.#opening.isReady;
  }

  get wasReady(): boolean {
    return this.#opening.wasReady;
  }

  open(timeoutMs: number): Promise<void> {
    return this.#opening.open(timeoutMs);
  }

  attempt(attempt: inner.FirstAttempt): void {
    const { key, token, terms, startedAt } = attempt;
    const notAfterMs = this.#storeClock.at(startedAt, this.#requestTimeoutMs) ?? 0;
    const request = toRequest(key, token, terms, notAfterMs, null);
    const asked = this.#asked(startedAt); // it has just begun: one look at the clocks less
    this.#calls.send(
      "acquire",
      () => this.#store.acquire(request),
      (answer) => this.#toAcquireAnswer(answer, asked, terms.share !== null),
      attempt,
    );
  }

  acquire({ key, token, terms, notAfterMs, ticket }: inner.AcquireRequest): Promise<inner.AcquireAnswer> {
    const request = toRequest(key, token, terms, notAfterMs, ticket?.number ?? null);
    const asked = this.#asked(this.clock.now());
    return this.#calls.ask(
      "acquire",
      () => this.#store.acquire(request),
      (answer) => this.#toAcquireAnswer(answer, asked, terms.share !== null),
    );
  }

  /** Each waiter has to look for itself. */
  async keepEntries({ entries }: inner.KeepEntriesRequest): Promise<readonly inner.QueueEntry[]> {
    return entries;
  }

  release(release: inner.PendingRelease): void {
    const { key, token, fence, isShared } = release;
    const ask = (): Promise<port.ReleaseAnswer> => this.#store.release({ key, token, fence });
    // Others may go on to share the key, so that nobody is next: the store knows, and wakes those who are.
    const isTold = isShared && this.#has("wake-ups");
    this.#calls.send("release", ask, isTold ? toSharedReleaseAnswer : toReleaseAnswer, release);
  }

  abandon({ key, token, wasHeld }: inner.AbandonRequest): Promise<inner.ReleaseAnswer> {
    return this.#calls.askInTime("abandon", () => this.#store.abandon({ key, token, wasHeld }), toReleaseAnswer);
  }

  renew(renewal: inner.PendingRenewal): void {
    const { key, token, fence, askedTtlMs } = renewal;
    this.#renew("renew", () => this.#store.renew({ key, token, fence, ttlMs: askedTtlMs ?? 0 })).then(
      (answer) => renewal.onAnswer(answer),
      (error: LeaseholdError) => renewal.onFailure(error),
    );
  }

  detach({ key, token, fence, ttlMs }: inner.DetachRequest): Promise<inner.RenewAnswer> {
    return this.#renew("detach", () => {
      optional(this.#store, "adopt"); // or nobody could go on with it
      const request = { key, token, fence, ttlMs };
      return this.#store.detach === undefined ? this.#store.renew(request) : this.#store.detach(request);
    });
  }

  adopt({ terms: { owner, ttlMs, maxHoldMs }, ...request }: inner.AdoptRequest): Promise<inner.AdoptAnswer> {
    const asked = this.#asked(this.clock.now());
    const limit = maxHoldMs === Number.POSITIVE_INFINITY ? null : maxHoldMs;
    return this.#calls.ask(
      "adopt",
      () => optional(this.#store, "adopt")({ ...request, owner, ttlMs, maxHoldMs: limit }),
      (given) => {
        const answer = answered(given);
        if ("nowMs" in answer) {
          this.#learn(answer.nowMs);
        }
        return toAdoptAnswer(answer, asked);
      },
    );
  }

  check(key: string): Promise<inner.KeyState> {
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

  sweep(): Promise<inner.SweepBatch> {
    const { sweep } = this.#store;
    if (sweep === undefined) {
      return Promise.resolve(nothingSwept);
    }
    return this.#calls.askInTime("sweep", () => sweep.call(this.#store), toSweepBatch);
  }

  forceRelease({ key, fence, isImmediate }: inner.ForceReleaseRequest): Promise<inner.ForceReleaseAnswer> {
    return this.#calls.ask(
      "forceRelease",
      () => optional(this.#store, "forceRelease")({ key, fence, immediate: isImmediate }),
      toForceReleaseAnswer,
    );
  }

  checkFence(resource: string, fence: bigint): Promise<"passed" | "stale"> {
    return this.#calls.ask("checkFence", () => optional(this.#store, "checkFence")(resource, fence), toFenceOutcome);
  }

  refusalOfShare(share: ShareTerms): UnsupportedError | null {
    if (this.#has("shared-locks")) {
      return null;
    }
    const option = shareOption(share);
    return unsupported(
      this.#store,
      `does not let keys be shared: ${option} needs a store with the feature shared-locks`,
    );
  }

  refuseGuard(): void {
    throw unsupported(this.#store, "is not in a database in which a transaction could be guarded");
  }

  ping(): Promise<PingResult> {
    return this.#calls.askInTime("ping", () => this.#store.ping(), toPingResult);
  }

  async describeServer(): Promise<StoreState> {
    const { ms, serverVersion } = await this.ping();
    return { ms, version: serverVersion };
  }

  async capabilities(): Promise<Capabilities> {
    const { serverVersion } = await this.ping();
    return capabilitiesOf(this.#store, serverVersion);
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
    try {
      await this.#opening.close(timeoutMs);
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

  #renew(method: string, send: () => Promise<port.RenewAnswer>): Promise<inner.RenewAnswer> {
    const asked = this.#asked(this.clock.now());
    return this.#calls.askInTime(method, send, (given) => {
      const answer = answered(given);
      if (answer.outcome === "renewed") {
        this.#learn(answer.nowMs);
      }
      return toRenewAnswer(answer, asked);
    });
  }

  #asked(sentAt: Instant): Asked {
    return { sentAt, incarnation: this.presence.incarnation };
  }

  #has(feature: Feature): boolean {
    return this.#store.features?.[feature]?.isOn === true;
  }

  #toAcquireAnswer(given: port.AcquireAnswer, asked: Asked, isShared: boolean): inner.AcquireAnswer {
    const answer = answered(given);
    // A grant says nothing new just after another answer, and each look at a clock takes longer than most of what is done here.
    const isKnown = answer.outcome === "granted" && this.#storeClock.ageMsAt(asked.sentAt) < LEARN_AFTER_MS;
    if ("nowMs" in answer && !isKnown) {
      this.#learn(answer.nowMs);
    }
    return toAcquireAnswer(answer, asked, isShared);
  }

  #learn(storeMs: number): void {
    this.#storeClock.learn(finiteMs("nowMs", storeMs), this.clock.monotonicNowMs());
  }
}

function nothing(): void {
  // Its answer says no more than that it is done.
}
