import { randomUUID } from "node:crypto";
import type { Lock } from "../api/lock.js";
import { Claim } from "../claim/claim.js";
import { type ResolvedAcquireOptions, sortOf } from "../config/resolve-options.js";
import { UnavailableError } from "../errors/errors.js";
import type { Lease } from "../hold/lease.js";
import type { ObservedClaim } from "../observe/observer.js";
import type { Instant } from "../runtime/clock.js";
import { joinSignals } from "../runtime/joined-signals.js";
import { RequestTimeout } from "../runtime/timeout.js";
import type { Grant } from "../store/messages.js";
import { explained } from "../store/retry.js";
import { Acquires } from "./acquires.js";
import type { AcquiresInit } from "./acquires-init.js";
import { type NotGranted, refusal } from "./results.js";
import type { SetInProgress, SetParts } from "./set-parts.js";
import { type AnsweredRequest, type AskingSet, ask, type SetRequest } from "./set-request.js";
import { LEAVERS_MS, TRY_BUSY_MS } from "./try-once.js";

/** Sets that ask again while a row is locked do so at other moments than each other. */
const JITTER = 0.5;

/** The set that a side belongs to. */
export interface SetOfSide extends AskingSet {
  /** What is left of `maxHoldMs`, which counts from the first key. */
  readonly leftHoldMs: number;
  /** Waits for a last word, which may take as long as an outage, while the call has time left. It must not reject. */
  inTime(work: Promise<unknown>): Promise<void>;
  end(error: unknown): void;
  partLost(key: string): void;
  /** The claim whose answer was the last one. */
  asked(claim: ObservedClaim): void;
  readonly toError: AcquiresInit["toError"];
}

/** The first key that was not granted. */
export interface SetRefused extends NotGranted {
  readonly key: string;
}

/** How far a request for several keys came. */
export interface Asked {
  readonly granted: number;
  /** Null: all were granted. */
  readonly refused: SetRefused | null;
}

/** One set in one locker: its parts there, and the claims that are under way (decision 26). */
export class SetSide implements SetInProgress {
  readonly parts: SetParts;
  /** What was told of by `onOutage`, until there is an answer. */
  outage: UnavailableError | null = null;
  readonly #set: SetOfSide;
  readonly #acquires: Acquires;
  #leases: Lease[] = [];
  /** Claims of requests for several keys that are not parts: not answered, or in doubt. */
  readonly #asked = new Set<Claim>();
  /** By key, the last single claim that was settled. */
  readonly #ended = new Map<string, ObservedClaim>();
  #leaving: Promise<void>[] = [];
  /** What a request for several keys has failed with. Single acquires explain their errors themselves. */
  #failure: unknown = null;

  constructor(parts: SetParts, set: SetOfSide) {
    this.parts = parts;
    this.#set = set;
    const { init } = parts;
    this.#acquires = new Acquires({
      ...init,
      holdings: {
        hold: (claim, grant) => this.#hold(claim, grant),
        has: (key) => init.holdings.has(key) || init.parts.has(key),
        hasAlone: (key) => init.holdings.hasAlone(key) || init.parts.hasAlone(key),
        get size() {
          return init.holdings.size + init.parts.size;
        },
      },
      background: { add: (work) => this.#leave(work) },
      observer: {
        acquireEnded: (claim) => {
          this.#ended.set(claim.key, claim);
          set.asked(claim);
        },
      },
      onAcquired: null,
      toError: set.toError,
    });
    parts.inProgress.add(this);
  }

  /** Its parts, in the order in which they were granted. */
  get leases(): readonly Lease[] {
    return this.#leases;
  }

  *claims(): Iterable<Claim> {
    yield* this.#asked;
    yield* this.#acquires;
  }

  end(error: unknown): void {
    this.#set.end(error);
  }

  /** No more will be asked. */
  close(): void {
    this.#acquires.stopTimers();
    this.parts.inProgress.delete(this);
  }

  /** What was asked here last has failed, and the set goes on. */
  failed(error: UnavailableError): void {
    this.outage = error;
    this.parts.init.onOutage(error);
  }

  /** What was asked here last was answered. */
  answered(): void {
    if (this.outage !== null) {
      this.outage = null;
      this.parts.init.onRecovered();
    }
  }

  /** Never rejects. */
  async explained(error: unknown): Promise<unknown> {
    return error === this.#failure ? await explained(error, this.parts.init.claims.backend) : error;
  }

  /** Asks for all of them, or for the longest run from the first on, without queueing. @throws UnavailableError */
  async askAll(keys: readonly string[], takesPrefix: boolean, deadline: Instant): Promise<Asked> {
    const { backend } = this.parts.init.claims;
    const { clock, acquireAll } = backend;
    const { share } = this.#set.terms;
    if (acquireAll === null || share !== null) {
      return await this.#askEach(keys, acquireAll !== null && !takesPrefix, deadline);
    }
    const claims = keys.map((key) => new Claim(this.parts.init.claims, key, this.#terms(0)));
    this.#set.asked(claims[0] as Claim);
    for (const claim of claims) {
      this.#asked.add(claim);
    }
    let hasWaited = false;
    for (let tries = 0; ; tries += 1) {
      const { grants, missing } = await this.#ask({ set: this.#set, backend, claims, takesPrefix, deadline });
      this.#set.refuseIfEnded();
      const leftMs = clock.msUntil(deadline);
      const pauseMs = (TRY_BUSY_MS[tries] ?? 0) * (1 + JITTER * Math.random());
      if (missing === null) {
        return await this.#take(claims, grants, null);
      }
      const { answer, index } = missing;
      this.#set.asked(claims[index] as Claim);
      const key = keys[index] as string;
      const refused = { ...refusal(answer.outcome, answer), key };
      if (takesPrefix) {
        return await this.#take(claims, grants, refused);
      }
      const isFree = answer.outcome === "held" && answer.holder === null && !hasWaited;
      // It is free but has a queue. If that is of waiters of this process that have given up, wait until they have left.
      if (isFree && (await this.parts.init.queues.leavers(key, Math.min(LEAVERS_MS, leftMs / 2)))) {
        hasWaited = true;
      } else if (answer.outcome !== "busy" || pauseMs === 0 || leftMs <= pauseMs) {
        return await this.#take(claims, grants, refused);
      } else {
        await clock.sleep(pauseMs, { signal: this.#set.interrupted });
      }
      this.#set.refuseIfEnded();
    }
  }

  /** Waits for one key, in its queue. @throws what `acquire` throws, but for its signal */
  async wait(key: string): Promise<void> {
    await this.#acquires.acquire(key, this.#terms(Math.max(1, this.#set.leftMs)));
  }

  /** Gives back all that it has here. Resolves when nothing is left. Never rejects. */
  async giveBack(): Promise<void> {
    const { parts, background } = this.parts.init;
    for (const lease of this.#leases.splice(0)) {
      parts.drop(lease);
      const { claim } = lease;
      const lastWord = claim.lastWord();
      if (claim.isCertain) {
        this.#leave(lastWord);
      } else {
        // That waits until an attempt without an answer cannot be carried out any more. The grant that is known need not stand so long.
        background.add(lastWord);
        this.#leave(claim.abandonEarly());
      }
    }
    this.#abandonAsked();
    await Promise.all(this.#leaving.splice(0));
  }

  /** Makes locks of its parts, which it keeps until `done`. @throws UnavailableError when one has just expired */
  *complete(): Iterable<Lease> {
    const { holdings, parts } = this.parts.init;
    // The set may be ended, and these given back, by code that hears of a lock that is lost on the way.
    for (const part of [...this.#leases]) {
      const { claim, grant, ttlMs, msLeft } = part;
      parts.drop(part);
      claim.terms = { ...this.#set.terms, maxHoldMs: part.terms.maxHoldMs };
      yield holdings.hold(claim, grant, Math.max(0, ttlMs - msLeft));
    }
  }

  /** Its locks are the caller's. */
  done(): void {
    this.#leases = [];
  }

  async #ask(request: SetRequest): Promise<AnsweredRequest> {
    try {
      return await ask(request);
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  /** Makes parts of what was granted. What an earlier attempt without an answer may have been granted besides is given back first. */
  async #take(claims: readonly Claim[], grants: readonly Grant[], refused: SetRefused | null): Promise<Asked> {
    for (const [index, grant] of grants.entries()) {
      this.#hold(claims[index] as Claim, grant);
    }
    this.#abandonAsked();
    if (this.#leaving.length > 0) {
      await this.#set.inTime(Promise.all(this.#leaving.splice(0)));
      this.#set.refuseIfEnded();
    }
    return { granted: grants.length, refused };
  }

  /** By single tries. Each has `requestTimeoutMs`; all of them end at the deadline. */
  async #askEach(keys: readonly string[], sideBySide: boolean, deadline: Instant): Promise<Asked> {
    const { clock } = this.parts.init.claims.backend;
    const late = new AbortController();
    const ms = Math.max(0, clock.msUntil(deadline));
    const timer = clock.startTimer(ms, () => {
      const cause = new RequestTimeout(`no answer within ${Math.round(ms)} ms`);
      this.#failure = new UnavailableError({ outcome: "unknown", cause });
      late.abort(this.#failure);
    });
    const { signal, end } = joinSignals([this.#set.interrupted, late.signal]);
    try {
      return await (sideBySide ? this.#askSideBySide(keys, signal) : this.#askOneByOne(keys, signal));
    } finally {
      timer.cancel();
      end();
    }
  }

  /** One after the other, as many as are granted. */
  async #askOneByOne(keys: readonly string[], signal: AbortSignal): Promise<Asked> {
    for (const [index, key] of keys.entries()) {
      const result = await this.#acquires.tryAcquire(key, this.#terms(0, signal));
      this.#set.refuseIfEnded();
      if ("outcome" in result) {
        return { granted: index, refused: { ...result, key } };
      }
    }
    return { granted: keys.length, refused: null };
  }

  /** Each by itself, but on the same terms and at the same time: tries of shares are sent in one statement. */
  async #askSideBySide(keys: readonly string[], signal: AbortSignal): Promise<Asked> {
    const terms = this.#terms(0, signal);
    // When one fails the others are waited for: what they are granted is a part, and is given back.
    const tries = await Promise.allSettled(keys.map((key) => this.#acquires.tryAcquire(key, terms)));
    this.#set.refuseIfEnded();
    let granted = 0;
    let refused: SetRefused | null = null;
    for (const [index, one] of tries.entries()) {
      if (one.status === "rejected") {
        throw one.reason;
      }
      if (!("outcome" in one.value)) {
        granted += 1;
      } else {
        refused ??= { ...one.value, key: keys[index] as string };
      }
    }
    if (refused !== null) {
      this.#set.asked(this.#ended.get(refused.key) as ObservedClaim); // it was settled
    }
    return { granted, refused };
  }

  #hold(claim: Claim, grant: Grant): Lease {
    claim.terms = { ...claim.terms }; // from now on its limit is fixed
    const lease = this.parts.init.parts.hold(claim, grant);
    this.#leases.push(lease);
    this.#asked.delete(claim);
    return lease;
  }

  /** One that is being given back is found to have expired, too: that is no news. */
  #lost(lock: Lock): void {
    if (this.#leases.some((part) => part.lock === lock)) {
      this.#set.partLost(lock.key);
    }
  }

  #abandonAsked(): void {
    for (const claim of this.#asked) {
      this.#asked.delete(claim);
      if (claim.isUnfinished) {
        this.#leave(claim.lastWord());
      }
    }
  }

  #leave(work: Promise<void>): void {
    this.#leaving.push(work);
    this.parts.init.background.add(work);
  }

  /**
   * Of a part. It is renewed whatever the caller wants for the lock, and its loss is the set's alone. `maxHoldMs` is what is left when a request
   * is sent, so such terms are of no sort but their own.
   */
  #terms(waitMs: number, signal: AbortSignal = this.#set.interrupted): ResolvedAcquireOptions {
    const set = this.#set;
    const { terms } = set;
    const part = { ...terms, waitMs, queues: waitMs > 0 };
    const isBounded = terms.maxHoldMs !== Number.POSITIVE_INFINITY;
    return {
      ...part,
      get maxHoldMs() {
        return set.leftHoldMs;
      },
      sort: isBounded ? `${sortOf(part)} ${randomUUID()}` : sortOf(part),
      retry: null,
      signal,
      keepAlive: true,
      renewEveryMs: Math.min(terms.renewEveryMs, Math.floor(terms.ttlMs / 3)),
      onLost: (lock) => this.#lost(lock),
    };
  }
}
