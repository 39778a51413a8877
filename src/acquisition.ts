import { randomUUID } from "node:crypto";
import { ofAttempts } from "./attempt-errors.js";
import { Attempts } from "./attempts.js";
import { after, type Instant, isPast, msUntil, now, sleep } from "./clock.js";
import { UnavailableError } from "./errors.js";
import { Wait } from "./line.js";
import type { CheckedMetadata } from "./metadata.js";
import type { AcquireAnswer, AcquireRequest, Grant, Holder, ReleaseAnswer, Store, Takeover } from "./store.js";
import { RequestTimeout, withTimeout } from "./timeout.js";
import type { Waiting } from "./waiting.js";

/** How often a waiter looks by itself. NOTIFY is a hint; this is what a wake-up that was lost costs. */
const POLL_MS = 1_000;
const JITTER = 0.2;
const BUSY_MS = 50;
/** A try asks again so long as the row is locked: 3 times within some 20 ms. */
const TRY_BUSY_MS = [5, 10] as const;
const FIRST_RETRY_MS = 10;
const MAX_RETRY_MS = 500;
/** A try waits so long at most for those who leave the line. */
const LEAVERS_MS = 1_000;
/** An entry in the line lapses by itself after this. */
const LAPSE_MS = 3_000;

export interface Granted extends Grant {
  readonly outcome: "granted";
}

export interface NotGranted {
  readonly outcome: "held" | "busy" | "timeout";
  readonly holder: Holder | null;
  readonly blockingPid: number | null;
}

/** An acquire that is not settled, as this process knows it. */
export interface WaitState {
  readonly key: string;
  readonly terms: AcquisitionTerms;
  readonly startedAt: Instant;
  /** Its place in the line; null before the first answer, and for a call that does not wait. */
  readonly place: bigint | null;
  readonly attempts: number;
  /** Who stood in the way at the last look. */
  readonly holder: Holder | null;
  readonly blockingPid: number | null;
}

/** What is asked for. */
export interface AcquisitionTerms {
  readonly owner: string;
  readonly ttlMs: number;
  readonly minHoldMs: number;
  /** `Infinity` when unbounded. */
  readonly maxHoldMs: number;
  readonly metadata: CheckedMetadata;
  /** `Infinity` when unbounded; 0 when the call does not wait. */
  readonly waitMs: number;
}

export interface AcquisitionInit {
  readonly store: Store;
  readonly waiting: Waiting;
  readonly key: string;
  readonly terms: AcquisitionTerms;
  readonly requestTimeoutMs: number;
  /** Fires when the locker is closed for good: then no last word can be said any more. */
  readonly closed: AbortSignal;
}

/**
 * The life of one acquire: attempts and looks with one token, until granted, refused, timed out or ended, and the last word
 * that makes sure that nothing stays behind.
 */
export class Acquisition {
  readonly key: string;
  readonly token: string = randomUUID();
  readonly startedAt: Instant = now();
  readonly #store: Store;
  readonly #waiting: Waiting;
  readonly #terms: AcquisitionTerms;
  readonly #requestTimeoutMs: number;
  readonly #closed: AbortSignal;
  readonly #wait: Wait;
  readonly #attempts: Attempts;
  #ended: { readonly error: unknown } | null = null;
  #onEnd: ((error: unknown) => void) | null = null;
  #isContended = false;
  #takeover: Takeover | null = null;
  /** The last look that was not granted. */
  #inTheWay: Pick<WaitState, "holder" | "blockingPid"> = { holder: null, blockingPid: null };
  #found: "ours" | "taken" | "free" | null = null;
  /** Made when something sleeps: most acquires never do. */
  #interrupt: AbortController | null = null;
  /** Its holder has let go of it: what the last word finds then is that grant. */
  #wasHeld = false;
  /** The longest that the lease was asked to last without another renewal. */
  #longestTtlMs: number;
  #lastWord: Promise<void> | null = null;

  constructor({ store, waiting, key, terms, requestTimeoutMs, closed }: AcquisitionInit) {
    this.#store = store;
    this.#waiting = waiting;
    this.key = key;
    this.#terms = terms;
    this.#requestTimeoutMs = requestTimeoutMs;
    this.#closed = closed;
    this.#wait = new Wait(key, this.token);
    this.#attempts = new Attempts(requestTimeoutMs);
    this.#longestTtlMs = terms.ttlMs;
  }

  /** Whether somebody stood in the way when it first looked. */
  get isContended(): boolean {
    return this.#isContended;
  }

  /** From whom the key was taken without a release, once granted. */
  get takeover(): Takeover | null {
    return this.#takeover;
  }

  get state(): WaitState {
    const { ticket } = this.#wait;
    const { key, startedAt } = this;
    return {
      key,
      terms: this.#terms,
      startedAt,
      place: ticket?.place ?? null,
      attempts: this.#attempts.count,
      ...this.#inTheWay,
    };
  }

  /**
   * What the last word found in the key's row: `ours`, which it freed; `taken`: somebody else holds the key; `free`: neither.
   * Null before it was answered.
   */
  get found(): "ours" | "taken" | "free" | null {
    return this.#found;
  }

  /** A renewal that asks for so much is about to be sent. */
  extend(ttlMs: number): void {
    this.#longestTtlMs = Math.max(this.#longestTtlMs, ttlMs);
  }

  /** Gives the acquire up, at once. What was sent is cleaned up by `lastWord`. */
  end(error: unknown): void {
    if (this.#ended === null) {
      this.#ended = { error };
      this.#waiting.leave(this.#wait);
      this.#interrupt?.abort();
      this.#onEnd?.(error);
    }
  }

  /** Whether this is what `end` was given. */
  wasEndedWith(error: unknown): boolean {
    return this.#ended !== null && this.#ended.error === error;
  }

  /**
   * @throws what `end` was given, as soon as it was
   * @throws UnavailableError when Postgres did not answer for `requestTimeoutMs`
   */
  run(): Promise<Granted | NotGranted> {
    return new Promise((resolve, reject) => {
      this.#onEnd = reject;
      (this.#terms.waitMs > 0 ? this.#stand() : this.#try()).then(resolve, reject);
    });
  }

  async #try(): Promise<Granted | NotGranted> {
    let hasWaited = false;
    for (let tries = 0; ; tries += 1) {
      const answer = await this.#look(false);
      if (answer.outcome === "granted") {
        return answer;
      }
      const pauseMs = TRY_BUSY_MS[tries];
      // A line of those of this process who have given up is none.
      if (
        answer.outcome === "held" &&
        answer.holder === null &&
        !hasWaited &&
        (await this.#waiting.leavers(this.key, LEAVERS_MS))
      ) {
        hasWaited = true;
        this.#throwIfEnded();
        continue;
      }
      if (answer.outcome !== "busy" || pauseMs === undefined) {
        return refusal(answer.outcome === "busy" ? "busy" : "held", answer);
      }
      await this.#sleep(pauseMs);
    }
  }

  async #stand(): Promise<Granted | NotGranted> {
    this.#waiting.join(this.#wait);
    try {
      return await this.#lookAgainAndAgain();
    } finally {
      this.#waiting.leave(this.#wait);
    }
  }

  async #lookAgainAndAgain(): Promise<Granted | NotGranted> {
    const deadline = after(now(), this.#terms.waitMs);
    let busyMs = BUSY_MS;
    for (;;) {
      const answer = await this.#waiting.look(this.#wait, () => this.#look(true));
      if (answer.outcome === "granted") {
        return answer;
      }
      if ("ticket" in answer && answer.ticket !== null) {
        this.#waiting.place(this.#wait, answer.ticket);
      }
      const leftMs = deadline.monotonicMs - now().monotonicMs;
      if (leftMs <= 0) {
        return refusal("timeout", answer);
      }
      let pauseMs: number;
      if (answer.outcome === "busy") {
        pauseMs = busyMs;
        busyMs = Math.min(busyMs * 2, POLL_MS);
      } else {
        busyMs = BUSY_MS;
        pauseMs = POLL_MS;
      }
      pauseMs *= 1 - JITTER + 2 * JITTER * Math.random();
      const lookInMs = (answer.outcome === "queued" ? answer.lookInMs : null) ?? pauseMs;
      if (this.#waiting.isBehind(this.#wait)) {
        // whoever stands before it here looks for both
        await this.#waiting.pause(this.#wait, leftMs, 0);
        this.#throwIfEnded();
        continue;
      }
      await this.#waiting.pause(this.#wait, Math.min(pauseMs, lookInMs, leftMs), lookInMs < pauseMs ? 0 : pauseMs / 4);
      this.#throwIfEnded();
    }
  }

  /** One look, asked again until it is answered or Postgres was silent for `requestTimeoutMs`. */
  async #look(waits: boolean): Promise<Exclude<AcquireAnswer, { outcome: "late" | "unproven" }>> {
    const deadline = after(now(), this.#requestTimeoutMs);
    let failure: UnavailableError | null = null;
    for (let retryMs = FIRST_RETRY_MS; ; retryMs = Math.min(retryMs * 2, MAX_RETRY_MS)) {
      this.#throwIfEnded();
      try {
        await this.#store.open(Math.max(1, msUntil(deadline)));
        this.#throwIfEnded();
        const answer = await withTimeout(this.#attempt(waits, deadline), msUntil(deadline));
        if (answer.outcome !== "late" && answer.outcome !== "unproven") {
          if (answer.outcome === "granted") {
            this.#takeover = answer.takeover;
          } else {
            this.#isContended = true;
            const blockingPid = answer.outcome === "busy" ? answer.blockingPid : null;
            this.#inTheWay = { holder: answer.holder, blockingPid };
          }
          return answer;
        }
      } catch (error) {
        if (error instanceof RequestTimeout) {
          throw ofAttempts(failure, new UnavailableError({ outcome: "unknown", cause: error }));
        }
        if (!(error instanceof UnavailableError)) {
          throw error;
        }
        failure = ofAttempts(failure, error);
        if (isRefused(error)) {
          throw failure;
        }
      }
      if (msUntil(deadline) <= retryMs) {
        throw failure ?? new UnavailableError({ outcome: "unknown" });
      }
      await this.#sleep(retryMs);
    }
  }

  #attempt(waits: boolean, deadline: Instant): Promise<AcquireAnswer> {
    const terms = this.#terms;
    const request: AcquireRequest = {
      key: this.key,
      token: this.token,
      owner: terms.owner,
      ttlMs: terms.ttlMs,
      minHoldMs: terms.minHoldMs,
      maxHoldMs: terms.maxHoldMs === Number.POSITIVE_INFINITY ? null : terms.maxHoldMs,
      metadata: terms.metadata.json,
      // `open` has heard from the server, so its time is known.
      notAfterMs: this.#store.serverTimeAt(deadline) ?? 0,
      waits,
      ticket: this.#wait.ticket,
    };
    return this.#attempts.track(deadline, this.#store.acquire(request));
  }

  #throwIfEnded(): void {
    if (this.#ended !== null) {
      throw this.#ended.error;
    }
  }

  async #sleep(ms: number): Promise<void> {
    this.#throwIfEnded();
    this.#interrupt ??= new AbortController();
    await sleep(ms, { keepsAlive: true, signal: this.#interrupt.signal });
  }

  /** Whether something of it may still be in the database although it was not granted. */
  get isUnfinished(): boolean {
    return this.#terms.waitMs > 0 || this.#attempts.hasDoubt;
  }

  /**
   * Frees what was granted. By token and fence when there was one attempt; else by the token alone, which also reaches a
   * second grant. While an attempt may still run, the last word follows in the background.
   */
  async release(fence: bigint, background: (work: Promise<void>) => void): Promise<ReleaseAnswer> {
    const { key, token } = this;
    this.#wasHeld = true;
    if (this.#attempts.hasUnresolved) {
      background(this.lastWord());
      return await this.#store.release({ key, token, fence });
    }
    return this.#attempts.count > 1
      ? await this.#store.abandon({ key, token, wasHeld: true, isDoubted: this.#attempts.hasLost })
      : await this.#store.release({ key, token, fence });
  }

  /**
   * Once no attempt can run any more: takes this token out of the line, and frees what it was granted, asked until it was
   * answered once, or until what it could find has expired by itself. Never rejects.
   */
  lastWord(): Promise<void> {
    this.#lastWord ??= this.#sayLastWord();
    return this.#lastWord;
  }

  /** What is not there any more may have been freed by it. */
  get hasLastWord(): boolean {
    return this.#lastWord !== null;
  }

  async #sayLastWord(): Promise<void> {
    if (this.#attempts.count === 0) {
      return;
    }
    const left = this.#waiting.startLeaving(this.key);
    try {
      await this.#sayIt();
    } finally {
      left();
    }
  }

  async #sayIt(): Promise<void> {
    await this.#attempts.ended(this.#closed);
    const pointlessAfter = after(now(), this.#longestTtlMs + LAPSE_MS);
    for (
      let retryMs = FIRST_RETRY_MS;
      !isPast(pointlessAfter) && !this.#closed.aborted;
      retryMs = Math.min(retryMs * 2, MAX_RETRY_MS)
    ) {
      try {
        const { outcome, reason } = await this.#store.abandon({
          key: this.key,
          token: this.token,
          wasHeld: this.#wasHeld,
          isDoubted: this.#attempts.hasLost,
        });
        if (outcome !== "busy") {
          this.#found = outcome !== "gone" ? "ours" : reason === "taken" ? "taken" : "free";
          this.#waiting.wakeKey(this.key);
          return;
        }
      } catch (error) {
        if (!(error instanceof UnavailableError)) {
          return;
        }
      }
      await sleep(retryMs, { signal: this.#closed });
    }
  }
}

function refusal(
  outcome: NotGranted["outcome"],
  answer: { holder: Holder | null; blockingPid?: number | null },
): NotGranted {
  return { outcome, holder: answer.holder, blockingPid: answer.blockingPid ?? null };
}

/** A wrong password does not become right by waiting, nor does a certificate of a stranger. */
function isRefused({ cause }: UnavailableError): boolean {
  return (
    cause instanceof Error &&
    "code" in cause &&
    typeof cause.code === "string" &&
    /^28|^3D000$|^NOT_TRUSTED$/.test(cause.code)
  );
}
