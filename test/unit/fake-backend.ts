// A backend whose every answer is the test's: what is asked waits until the test answers it, fails it, or leaves it.

import { LeaseholdError, type LossReason, UnavailableError } from "../../src/errors/errors.js";
import type { Instant } from "../../src/runtime/clock.js";
import { after, now, systemClock } from "../../src/runtime/clock.js";
import type { Backend, BackendEvents } from "../../src/store/backend.js";
import type {
  AbandonRequest,
  AcquireAllAnswer,
  AcquireAllRequest,
  AcquireAnswer,
  AcquireRequest,
  AdoptAnswer,
  AdoptedAnswer,
  AdoptRequest,
  DetachRequest,
  FirstAttempt,
  Grant,
  GrantId,
  Holder,
  KeepEntriesRequest,
  KeyState,
  PendingRelease,
  PendingRenewal,
  QueueEntry,
  ReleaseAnswer,
  RenewAnswer,
  Ticket,
} from "../../src/store/messages.js";

/** One request that waits for its answer. */
export class Asked<Request, Answer> {
  readonly request: Request;
  readonly #onAnswer: (answer: Answer) => void;
  readonly #onFailure: (error: LeaseholdError) => void;
  isOver = false;

  constructor(request: Request, onAnswer: (answer: Answer) => void, onFailure: (error: LeaseholdError) => void) {
    this.request = request;
    this.#onAnswer = onAnswer;
    this.#onFailure = onFailure;
  }

  answer(answer: Answer): void {
    this.#end();
    this.#onAnswer(answer);
  }

  fail(error: LeaseholdError): void {
    this.#end();
    this.#onFailure(error);
  }

  #end(): void {
    if (this.isOver) {
      throw new Error("it was answered before");
    }
    this.isOver = true;
  }
}

/** Everything that is asked of one kind. */
export class Requests<Request, Answer> {
  readonly #name: string;
  #waiting: Asked<Request, Answer>[] = [];
  /** How many there were. */
  count = 0;
  /** Answers at once, instead of the test. An error: fails. Undefined: waits for the test after all. */
  reply: ((request: Request) => Answer | LeaseholdError | undefined) | null = null;

  constructor(name: string) {
    this.#name = name;
  }

  get waiting(): readonly Asked<Request, Answer>[] {
    return this.#waiting.filter(({ isOver }) => !isOver);
  }

  add(asked: Asked<Request, Answer>): void {
    this.count += 1;
    this.#waiting.push(asked);
    if (this.reply === null) {
      return;
    }
    // A backend never answers before the call returns.
    queueMicrotask(() => {
      const answer = this.reply?.(asked.request);
      if (answer === undefined || asked.isOver) {
        return;
      }
      this.#waiting.splice(this.#waiting.indexOf(asked), 1);
      answer instanceof LeaseholdError ? asked.fail(answer) : asked.answer(answer);
    });
  }

  promise(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => this.add(new Asked(request, resolve, reject)));
  }

  /** Takes the oldest that waits. @throws when there is none */
  take(): Asked<Request, Answer> {
    this.#waiting = this.#waiting.filter(({ isOver }) => !isOver);
    const asked = this.#waiting.shift();
    if (asked === undefined) {
      throw new Error(`nothing of this kind was asked: ${this.#name}`);
    }
    return asked;
  }
}

export class FakeBackend implements Backend {
  readonly clock = systemClock;
  readonly attempts = new Requests<FirstAttempt, AcquireAnswer>("attempt");
  readonly looks = new Requests<AcquireRequest, AcquireAnswer>("acquire");
  readonly sets = new Requests<AcquireAllRequest, AcquireAllAnswer>("acquireAll");
  readonly keeps = new Requests<KeepEntriesRequest, readonly QueueEntry[] | null>("keepEntries");
  readonly releases = new Requests<PendingRelease, ReleaseAnswer>("release");
  readonly abandons = new Requests<AbandonRequest, ReleaseAnswer>("abandon");
  readonly renewals = new Requests<PendingRenewal, RenewAnswer>("renew");
  readonly detaches = new Requests<DetachRequest, RenewAnswer>("detach");
  readonly adoptions = new Requests<AdoptRequest, AdoptAnswer>("adopt");
  readonly presence = { incarnation: 1, isBelieved: true, sessionId: 7 as number | null };
  readonly connections = { session: null } as unknown as Backend["connections"];
  /** False: as a store that locks nothing. */
  excludes = true;
  refuseHere: Backend["refuseHere"] = null;
  isReady = true;
  databaseId: string | null = "here";
  /** The server's clock, minus the wall clock of this process. Null: not known yet. */
  clockAheadMs: number | null = 0;
  rests = 0;
  closes = 0;
  #events: BackendEvents | null = null;
  #fence = 100n;
  #ticket = 0n;

  listen(events: BackendEvents): this {
    this.#events = events;
    return this;
  }

  /** A NOTIFY came. */
  wake(): void {
    this.#events?.onWake(null);
  }

  /** A new session stands. */
  reconnect(): void {
    this.presence.incarnation += 1;
    this.#events?.onReconnected();
  }

  /** As a store tells it. */
  lose(grant: GrantId, reason: LossReason): void {
    this.#events?.onLost(grant, reason);
  }

  attempt(attempt: FirstAttempt): void {
    const { onAnswer, onFailure } = bound(attempt);
    this.attempts.add(new Asked(attempt, onAnswer, onFailure));
  }

  acquire(request: AcquireRequest): Promise<AcquireAnswer> {
    return this.looks.promise(request);
  }

  readonly acquireAll = (request: AcquireAllRequest): Promise<AcquireAllAnswer> => this.sets.promise(request);

  keepEntries(request: KeepEntriesRequest): Promise<readonly QueueEntry[] | null> {
    return this.keeps.promise(request);
  }

  /** Whether the connection keeps order: then a release tells when it is on its way. */
  /** Of which keys another process was thought to be next when a release was sent. */
  readonly told: string[] = [];
  keepsOrder = true;

  release(release: PendingRelease): void {
    const { onAnswer, onFailure } = bound(release);
    this.releases.add(new Asked(release, onAnswer, onFailure));
    if (this.keepsOrder) {
      queueMicrotask(() => void (release.onSent() && this.told.push(release.key)));
    }
  }

  abandon(request: AbandonRequest): Promise<ReleaseAnswer> {
    return this.abandons.promise(request);
  }

  renew(renewal: PendingRenewal): void {
    const { onAnswer, onFailure } = bound(renewal);
    this.renewals.add(new Asked(renewal, onAnswer, onFailure));
  }

  detach(request: DetachRequest): Promise<RenewAnswer> {
    return this.detaches.promise(request);
  }

  adopt(request: AdoptRequest): Promise<AdoptAnswer> {
    return this.adoptions.promise(request);
  }

  /** Set: what `open` waits for. */
  opening: Promise<void> | null = null;
  openCount = 0;

  open(): Promise<void> {
    this.openCount += 1;
    return this.opening ?? Promise.resolve();
  }

  serverTimeAt({ wallMs }: Instant): number | null {
    return this.clockAheadMs === null ? null : wallMs + this.clockAheadMs;
  }

  async rest(): Promise<void> {
    this.rests += 1;
  }

  async close(): Promise<void> {
    this.closes += 1;
  }

  wasReady = true;

  findDeadlock: () => Promise<readonly string[] | null> = async () => null;

  explain = async (error: UnavailableError): Promise<UnavailableError> => error;

  async findDatabaseId(): Promise<void> {}
  migrate = unexpected("migrate");
  check: () => Promise<KeyState> = unexpected("check");
  forceRelease = unexpected("forceRelease");
  sweep = unexpected("sweep");
  flushCounters = unexpected("flushCounters");
  checkFence = unexpected("checkFence");
  holderOf = unexpected("holderOf");
  ping = unexpected("ping");
  describeServer = unexpected("describeServer");
  capabilities = unexpected("capabilities");

  refusalOfShare(): null {
    return null;
  }

  refuseGuard(): void {}

  /** A grant from now on, with a new fence, as the server would give it. */
  granted(ttlMs = 30_000, given: Partial<Grant> = {}): AcquireAnswer & { readonly outcome: "granted" } {
    this.#fence += 1n;
    const at = now();
    return {
      outcome: "granted",
      fence: this.#fence,
      acquiredAtMs: at.wallMs,
      takeover: null,
      until: after(at, ttlMs),
      expiresAtMs: at.wallMs + ttlMs,
      incarnation: this.presence.incarnation,
      ...given,
    };
  }

  renewed(ttlMs = 30_000): RenewAnswer {
    const at = now();
    const { incarnation } = this.presence;
    return { outcome: "renewed", until: after(at, ttlMs), expiresAtMs: at.wallMs + ttlMs, incarnation };
  }

  adopted(ttlMs = 30_000, given: Partial<AdoptedAnswer> = {}): AdoptedAnswer {
    const at = now();
    return {
      outcome: "adopted",
      share: null,
      acquiredAtMs: at.wallMs - 5_000,
      ageMs: 5_000,
      maxHoldUntilMs: null,
      metadata: null,
      until: after(at, ttlMs),
      expiresAtMs: at.wallMs + ttlMs,
      incarnation: this.presence.incarnation,
      ...given,
    };
  }

  /** A ticket behind all those that were given before. */
  queued(lookInMs: number | null = null): AcquireAnswer & { readonly ticket: Ticket } {
    this.#ticket += 1n;
    return { outcome: "queued", ticket: { number: this.#ticket, proof: 0n }, lookInMs, holder: holder() };
  }
}

export function holder(): Holder {
  return { owner: "somebody", fence: 1n, weight: null, sessionId: 99, expiresAtMs: 0 };
}

export const held: AcquireAnswer = { outcome: "held", holder: holder() };
export const busy: AcquireAnswer = { outcome: "busy", ticket: null, holder: null, blockingPid: 4242 };
export const released: ReleaseAnswer = { outcome: "released", reason: null };
export const gone: ReleaseAnswer = { outcome: "gone", reason: null };

export const notSent = (): UnavailableError => new UnavailableError({ outcome: "not-sent" });
export const noAnswer = (): UnavailableError => new UnavailableError({ outcome: "unknown" });
export const badPassword = (): UnavailableError =>
  new UnavailableError({ outcome: "not-sent", cause: Object.assign(new Error("no"), { code: "28P01" }) });

function bound<Answer>(item: { onAnswer(answer: Answer): void; onFailure(error: LeaseholdError): void }): {
  onAnswer: (answer: Answer) => void;
  onFailure: (error: LeaseholdError) => void;
} {
  return { onAnswer: (answer) => item.onAnswer(answer), onFailure: (error) => item.onFailure(error) };
}

function unexpected(name: string): () => Promise<never> {
  return () => Promise.reject(new Error(`no test asks for this: ${name}`));
}
