import type { RetryStrategy } from "../api/retry.js";
import type { ResolvedAcquireOptions } from "../config/resolve-options.js";
import { NotAcquiredError, UnavailableError } from "../errors/errors.js";
import type { Lease } from "../hold/lease.js";
import type { AcquireOutcome, ObservedClaim } from "../observe/observer.js";
import { abortReason, allowManyListeners, onAbort } from "../runtime/abort-listeners.js";
import { after, type Clock, type Instant } from "../runtime/clock.js";
import { quote } from "../runtime/describe.js";
import { isHopeless } from "../store/retry.js";
import type { AcquiresInit } from "./acquires-init.js";
import { checkDelay } from "./retrying.js";
import type { SetParts } from "./set-parts.js";
import { type SetOfSide, type SetRefused, SetSide } from "./set-side.js";

/** The pause after a request that Postgres has not answered. */
const OUTAGE_MS = 500;
/** How often it is looked whether a new session has proven the last part. */
const PROOF_MS = 10;

/** A key of a set, and the locker in which it is taken. */
export interface Place {
  readonly key: string;
  readonly parts: SetParts;
}

/** Ends a round: a part was lost. */
const LOST = Symbol("lost");

/** One call that acquires several keys: at once, else in their order (decision 26). The places are in the order of the bytes of their keys. */
export class SetAcquire implements SetOfSide {
  readonly terms: ResolvedAcquireOptions;
  readonly #places: readonly Place[];
  readonly #sides = new Map<SetParts, SetSide>();
  readonly #isTry: boolean;
  readonly #clock: Clock;
  readonly #startedAt: Instant;
  /** Replaced when it has fired and the set begins again. */
  #interrupt = new AbortController();
  #ended: { readonly error: unknown } | null = null;
  #reject: ((error: unknown) => void) | null = null;
  #lostKey: string | null = null;
  #lastClaim: ObservedClaim | null = null;
  /** Whether all are held, and are the caller's. */
  #isWhole = false;
  /** The one that was asked last. */
  #asking: SetSide | null = null;
  /** Called once, when the caller is answered: then nothing is heard of the signal, and the process is not kept alive any more. */
  #endCall: (() => void) | null = null;

  constructor(places: readonly Place[], terms: ResolvedAcquireOptions, isTry: boolean) {
    this.terms = terms;
    this.#places = places;
    this.#isTry = isTry;
    this.#clock = this.#first.parts.init.claims.backend.clock;
    this.#startedAt = this.#clock.now();
  }

  get #first(): Place {
    return this.#places[0] as Place; // there is one, always
  }

  /**
   * Resolves to the locks in the order of the places; a try to who was in its way, too.
   * @throws what `toError` makes of a refusal; the signal's reason; what `end` is given; UnavailableError
   */
  run(): Promise<readonly Lease[] | SetRefused> {
    const { signal } = this.terms;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(abortReason(signal));
        return;
      }
      for (const { parts } of this.#places) {
        const refused = parts.init.claims.backend.refuseHere?.() ?? null;
        if (refused !== null) {
          reject(refused);
          return;
        }
      }
      allowManyListeners(this.#interrupt.signal);
      for (const { parts } of this.#places) {
        if (!this.#sides.has(parts)) {
          this.#sides.set(parts, new SetSide(parts, this));
          parts.init.activity.beginCall();
        }
      }
      this.#reject = reject;
      const stopListening = signal === null ? null : onAbort(signal, () => this.end(abortReason(signal)));
      this.#endCall = () => {
        this.#endCall = null;
        stopListening?.();
        for (const parts of this.#sides.keys()) {
          parts.init.activity.endCall();
        }
      };
      void this.#settle().then((end) => {
        for (const side of this.#sides.values()) {
          side.close();
        }
        this.#endCall?.();
        "error" in end ? reject(end.error) : resolve(end.result);
      });
    });
  }

  /** Ends it at once, and gives back what it has. */
  end(error: unknown): void {
    if (this.#ended === null && !this.#isWhole) {
      this.#ended = { error };
      this.#interrupt.abort(error);
      void this.#giveBack();
      this.#reject?.(error);
      this.#endCall?.();
    }
  }

  get leftMs(): number {
    return this.terms.waitMs - this.#clock.elapsedMs(this.#startedAt);
  }

  /** What is left until it must have ended, whatever Postgres does: `waitMs`, and one `requestTimeoutMs` for all that is asked after that. */
  get #lastMs(): number {
    return Math.max(0, this.leftMs + this.#requestTimeoutMs);
  }

  /** Of a request that begins now. */
  #deadline(): Instant {
    return after(this.#clock.now(), Math.min(this.#requestTimeoutMs, this.#lastMs));
  }

  get leftHoldMs(): number {
    const { maxHoldMs } = this.terms;
    const firstAtMs = Math.min(...this.#leases.map(({ grantedAt }) => grantedAt.monotonicMs));
    return firstAtMs === Number.POSITIVE_INFINITY || maxHoldMs === Number.POSITIVE_INFINITY
      ? maxHoldMs
      : Math.max(1, Math.floor(maxHoldMs - (this.#clock.monotonicNowMs() - firstAtMs)));
  }

  get interrupted(): AbortSignal {
    return this.#interrupt.signal;
  }

  refuseIfEnded(): void {
    if (this.#ended !== null) {
      throw this.#ended.error;
    }
    if (this.#lostKey !== null) {
      throw LOST;
    }
  }

  partLost(key: string): void {
    this.#lostKey ??= key;
    this.#interrupt.abort(LOST);
  }

  asked(claim: ObservedClaim): void {
    this.#lastClaim = claim;
  }

  readonly toError: AcquiresInit["toError"] = (key, _terms, result, deadlock) =>
    this.#initOf(key).toError(key, this.terms, result, deadlock);

  get #leases(): Lease[] {
    return [...this.#sides.values()].flatMap(({ leases }) => leases);
  }

  /** Never rejects. */
  async #settle(): Promise<{ readonly result: readonly Lease[] | SetRefused } | { readonly error: unknown }> {
    try {
      const result = await this.#rounds();
      if ("outcome" in result) {
        await this.#giveBackInTime();
        this.#tell(this.terms.waitMs > 0 ? "timed-out" : "held", null);
        if (!this.#isTry) {
          return { error: this.toError(result.key, this.terms, result, null) };
        }
      }
      return { result };
    } catch (error) {
      if (error instanceof NotAcquiredError) {
        await this.#giveBackInTime();
        this.#tell("timed-out", null);
        return { error };
      }
      void this.#giveBack();
      const isCancelled = this.#ended !== null && this.#ended.error === error;
      const told = isCancelled || this.#asking === null ? error : await this.#asking.explained(error);
      this.#tell(isCancelled ? "cancelled" : "failed", told);
      return { error: told };
    }
  }

  /** Again and again, each time with nothing held, until all are held, or a round was refused. */
  async #rounds(): Promise<readonly Lease[] | SetRefused> {
    const { retry } = this.terms;
    for (;;) {
      try {
        return retry === null ? await this.#round() : await this.#retry(retry);
      } catch (error) {
        if (error !== LOST) {
          throw error;
        }
      }
      // Lost one: the others are given back, and it begins again.
      const key = this.#lostKey ?? this.#first.key;
      this.#lostKey = null;
      this.#interrupt = new AbortController();
      allowManyListeners(this.#interrupt.signal);
      await this.#giveBackInTime();
      this.refuseIfEnded();
      if (this.leftMs <= 0) {
        if (this.#failure !== null) {
          throw this.#failure;
        }
        return timedOut(key);
      }
    }
  }

  async #round(): Promise<readonly Lease[] | SetRefused> {
    try {
      const refused = await this.#tryAll();
      if (refused === null) {
        return await this.#complete();
      }
      await this.#giveBackInTime();
      this.refuseIfEnded();
      if (!this.terms.queues || this.leftMs <= 0) {
        return this.terms.queues ? { ...refused, outcome: "timeout" } : refused;
      }
      return await this.#inLine();
    } catch (error) {
      // Nobody is asked to wait for an outage while something is held: what was granted meanwhile may have expired.
      await this.#outlast(error);
      throw LOST;
    }
  }

  /** All at once, in each locker. Nothing is waited for. Null: all are held. */
  async #tryAll(): Promise<SetRefused | null> {
    const deadline = this.#deadline();
    for (const [parts, side] of this.#sides) {
      const keys = this.#places.filter((place) => place.parts === parts).map(({ key }) => key);
      this.#asking = side;
      const { refused } = await side.askAll(keys, false, deadline);
      side.answered();
      if (refused !== null) {
        return refused;
      }
    }
    return null;
  }

  /** In the order of the keys, so that it only ever waits for a key that is larger than those that it holds. */
  async #inLine(): Promise<readonly Lease[] | SetRefused> {
    for (let at = 0; at < this.#places.length; ) {
      const { parts } = this.#places[at] as Place;
      const side = this.#sides.get(parts) as SetSide; // each has one
      const end = this.#places.findIndex((place, index) => index > at && place.parts !== parts);
      const run = this.#places.slice(at, end === -1 ? undefined : end).map(({ key }) => key);
      this.#asking = side;
      let inTheWay: SetRefused | null = null;
      if (run.length > 1) {
        const { granted, refused } = await side.askAll(run, true, this.#deadline());
        this.refuseIfEnded();
        side.answered();
        at += granted;
        if (refused === null) {
          continue;
        }
        inTheWay = refused;
      }
      const { key } = this.#places[at] as Place;
      if (this.leftMs <= 0) {
        return inTheWay === null ? timedOut(key) : { ...inTheWay, outcome: "timeout" };
      }
      await side.wait(key);
      this.refuseIfEnded();
      at += 1;
    }
    return await this.#complete();
  }

  /** Everything is given back between two tries. */
  async #retry(strategy: RetryStrategy): Promise<readonly Lease[] | SetRefused> {
    for (let tries = 1; ; tries += 1) {
      let refused: SetRefused | null = null;
      try {
        refused = await this.#tryAll();
        if (refused === null) {
          return await this.#complete();
        }
      } catch (error) {
        await this.#outlast(error);
      }
      await this.#giveBackInTime();
      this.refuseIfEnded();
      const { leftMs } = this;
      if (refused !== null && leftMs <= 0) {
        return { ...refused, outcome: "timeout", tries };
      }
      const delayMs = checkDelay(strategy(tries));
      if (delayMs === null) {
        if (refused === null) {
          throw this.#failure;
        }
        return { ...refused, outcome: "exhausted", tries };
      }
      // The last try is made when the time is over.
      await this.#pause(Math.min(delayMs, Math.max(0, leftMs)));
    }
  }

  /** All are held, seen in one turn of the event loop. From then on they are the caller's. @throws LOST */
  async #complete(): Promise<readonly Lease[]> {
    // One that is unproven is being asked about: a new session stands, or the last heartbeat is late.
    while (this.#leases.some((lease) => lease.phase === "held" && !lease.isHeld)) {
      this.refuseIfEnded();
      if (this.#lastMs === 0) {
        throw unproven(this.#places.length, this.#first.key);
      }
      await this.#pause(PROOF_MS);
    }
    this.refuseIfEnded();
    const byKey = new Map<string, Lease>();
    try {
      for (const side of this.#sides.values()) {
        for (const lease of side.complete()) {
          byKey.set(lease.key, lease);
          if (lease.phase !== "held") {
            this.partLost(lease.key); // this process has a newer grant
          }
        }
      }
      this.refuseIfEnded(); // a lock that this process has lost may have been told of, and that code may have ended the set
    } catch (error) {
      for (const lease of byKey.values()) {
        this.#initOf(lease.key).holdings.drop(lease); // and the last words of all give back the keys
      }
      throw error;
    }
    for (const side of this.#sides.values()) {
      side.done();
    }
    this.#isWhole = true;
    const whole = this.#places.map(({ key }) => byKey.get(key) as Lease); // one of each was granted
    for (const { claim, lock, grantedAt } of whole) {
      const { observer, callbacks, onAcquired } = this.#initOf(lock.key);
      observer.acquireEnded(claim, "granted", grantedAt.monotonicMs - this.#startedAt.monotonicMs, lock, null);
      if (onAcquired !== null) {
        callbacks.call(() => onAcquired(lock));
      }
    }
    return whole;
  }

  /** @throws the error, unless it may pass while there is time left to wait */
  async #outlast(error: unknown): Promise<void> {
    if (error === LOST) {
      throw error;
    }
    this.refuseIfEnded();
    if (!(error instanceof UnavailableError) || isHopeless(error) || this.leftMs <= 0) {
      throw error;
    }
    this.#asking?.failed(error);
    if (this.terms.retry === null) {
      await this.#pause(Math.min(OUTAGE_MS, this.leftMs));
    }
  }

  /** What keeps one of them from going on. */
  get #failure(): UnavailableError | null {
    return [...this.#sides.values()].find(({ outage }) => outage !== null)?.outage ?? null;
  }

  /** @throws what `end` was given, LOST */
  async #pause(ms: number): Promise<void> {
    await this.#clock.sleep(ms, { signal: this.#interrupt.signal });
    this.refuseIfEnded();
  }

  async #giveBack(): Promise<void> {
    await Promise.all(Array.from(this.#sides.values(), (side) => side.giveBack()));
  }

  async #giveBackInTime(): Promise<void> {
    await this.inTime(this.#giveBack());
  }

  async inTime(work: Promise<unknown>): Promise<void> {
    const isDone = new AbortController();
    const done = work.then(() => isDone.abort());
    const ms = Math.min(Math.max(this.leftMs, this.#requestTimeoutMs), this.#lastMs, 2 ** 31 - 1);
    await Promise.race([done, this.#clock.sleep(ms, { signal: isDone.signal })]);
  }

  get #requestTimeoutMs(): number {
    return Math.max(...Array.from(this.#sides.keys(), ({ init }) => init.claims.requestTimeoutMs));
  }

  #initOf(key: string): SetParts["init"] {
    return (this.#places.find((place) => place.key === key) ?? this.#first).parts.init;
  }

  /** The counters and channels count the key that was missing. */
  #tell(outcome: AcquireOutcome, error: unknown): void {
    const claim = this.#lastClaim;
    if (claim !== null) {
      this.#initOf(claim.key).observer.acquireEnded(
        claim,
        outcome,
        this.#clock.elapsedMs(this.#startedAt),
        null,
        error,
      );
    }
  }
}

function timedOut(key: string): SetRefused {
  return { key, outcome: "timeout", holder: null, blockingPid: null, tries: 1 };
}

function unproven(count: number, first: string): UnavailableError {
  return new UnavailableError({
    outcome: "unknown",
    message: `The locks on ${count} keys, the first of which is ${quote(first)}, were granted, but the connection that shows that this process lives was being made again until the time was up. They are released. Try again.`,
  });
}
