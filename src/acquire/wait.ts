import type { Claim } from "../claim/claim.js";
import { UnavailableError } from "../errors/errors.js";
import { after, type Clock, type Instant } from "../runtime/clock.js";
import { withTimeoutOf } from "../runtime/timeout.js";
import type { AcquireAnswer, Backend, Grant, Holder, Ticket } from "../store/backend.js";
import { isHopeless, retry } from "../store/retry.js";
import type { Waiter } from "./local-queue.js";
import type { LocalQueues } from "./local-queues.js";

/** How often a waiter looks without being woken. NOTIFY is a hint (rule 10): a lost wake-up costs this much. */
const POLL_MS = 1_000;
const JITTER = 0.2;
const BUSY_MS = 10;
/** A try asks again while the row is locked (rule 6): 3 times within some 20 ms. */
const TRY_BUSY_MS = [5, 10] as const;
const FIRST_RETRY_MS = 10;
const MAX_RETRY_MS = 500;
/** How long a try waits at most for waiters of this process that are leaving the queue. */
const LEAVERS_MS = 1_000;

export type Granted = { readonly outcome: "granted" } & Grant;

export interface NotGranted {
  readonly outcome: "held" | "busy" | "timeout";
  readonly holder: Holder | null;
  readonly blockingPid: number | null;
}

/** An answer about the key. The other answers say that nothing was done. */
export type SettledAnswer = Exclude<AcquireAnswer, { outcome: "late" | "unproven" }>;

export interface WaitInit {
  readonly claim: Claim;
  readonly backend: Backend;
  readonly queues: LocalQueues;
  readonly requestTimeoutMs: number;
  /** Called when Postgres has not answered for `requestTimeoutMs`, and the wait goes on. */
  readonly onOutage: (error: UnavailableError) => void;
  /** Called with the first answer after that. */
  readonly onRecovered: () => void;
}

/** How the first attempt ended. `answer` and `failure` are both null when there was none. */
export interface FirstResult {
  readonly answer: AcquireAnswer | null;
  readonly failure: UnavailableError | null;
  readonly deadline: Instant;
}

/**
 * Goes on with an acquire that its first attempt did not settle. It looks again and again, in the queue of the key, until it is granted,
 * refused, timed out or ended.
 */
export class Wait implements Waiter {
  readonly key: string;
  readonly token: string;
  readonly #clock: Clock;
  readonly #claim: Claim;
  readonly #backend: Backend;
  readonly #queues: LocalQueues;
  readonly #requestTimeoutMs: number;
  readonly #onOutage: (error: UnavailableError) => void;
  readonly #onRecovered: () => void;
  #ended: { readonly error: unknown } | null = null;
  #onEnd: ((error: unknown) => void) | null = null;
  #interrupt: AbortController | null = null;
  /** These fields belong to the queues that it is in, see Waiter. */
  dueAtMs = 0;
  slackMs = 0;
  isWoken = false;
  /** Ends its pause; with an error, its wait. */
  resume: ((error?: unknown) => void) | null = null;
  before: Waiter | null = null;
  behind: Waiter | null = null;

  constructor({ claim, backend, queues, requestTimeoutMs, onOutage, onRecovered }: WaitInit) {
    this.key = claim.key;
    this.token = claim.token;
    this.#clock = backend.clock;
    this.#claim = claim;
    this.#backend = backend;
    this.#queues = queues;
    this.#requestTimeoutMs = requestTimeoutMs;
    this.#onOutage = onOutage;
    this.#onRecovered = onRecovered;
  }

  /** Its ticket, once an answer has given it one. */
  get ticket(): Ticket | null {
    return this.#claim.ticket;
  }

  set ticket(ticket: Ticket | null) {
    this.#claim.ticket = ticket;
  }

  /** Ends the wait at once. The claim's last word cleans up after what was sent. */
  end(error: unknown): void {
    if (this.#ended === null) {
      this.#ended = { error };
      this.#queues.leave(this);
      this.#interrupt?.abort();
      this.#onEnd?.(error);
    }
  }

  /** Whether this is what `end` was given. */
  wasEndedWith(error: unknown): boolean {
    return this.#ended !== null && this.#ended.error === error;
  }

  /**
   * @throws what `end` was given, at once
   * @throws UnavailableError when Postgres does not answer: a try after `requestTimeoutMs`, a wait when `waitMs` is over, too; at once when
   * waiting cannot help
   */
  run(first: FirstResult): Promise<Granted | NotGranted> {
    return new Promise((resolve, reject) => {
      this.#onEnd = reject;
      (this.#claim.terms.waitMs > 0 ? this.#queueUp(first) : this.#try(first)).then(resolve, reject);
    });
  }

  async #try(first: FirstResult): Promise<Granted | NotGranted> {
    let hasWaited = false;
    let answer = settled(first.answer) ?? (await this.#look(first));
    for (let tries = 0; ; tries += 1) {
      if (answer.outcome === "granted") {
        return answer;
      }
      const pauseMs = TRY_BUSY_MS[tries];
      // The key is free but has a queue. If that is of waiters of this process that have given up, wait until they have left.
      const isFree = answer.outcome === "held" && answer.holder === null && !hasWaited;
      if (isFree && (await this.#queues.leavers(this.key, LEAVERS_MS))) {
        hasWaited = true;
        this.#refuseIfEnded();
      } else if (answer.outcome !== "busy" || pauseMs === undefined) {
        return refusal(answer.outcome === "busy" ? "busy" : "held", answer);
      } else {
        await this.#clock.sleep(pauseMs, { signal: this.#interrupted() });
      }
      answer = await this.#look();
    }
  }

  async #queueUp(first: FirstResult): Promise<Granted | NotGranted> {
    this.#queues.join(this);
    try {
      return await this.#lookAgainAndAgain(first);
    } finally {
      this.#queues.leave(this);
    }
  }

  async #lookAgainAndAgain(first: FirstResult): Promise<Granted | NotGranted> {
    const deadlineMs = this.#claim.startedAt.monotonicMs + this.#claim.terms.waitMs;
    let busyMs = BUSY_MS;
    let answer = settled(first.answer) ?? (await this.#lookThroughOutages(deadlineMs, first));
    for (;;) {
      if (answer.outcome === "granted") {
        return answer;
      }
      if ("ticket" in answer && answer.ticket !== null) {
        this.#queues.setTicket(this, answer.ticket);
      }
      const leftMs = deadlineMs - this.#clock.monotonicNowMs();
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
      // The waiter of this process that is ahead of it looks for both.
      const [restMs, slackMs] = this.#queues.isBehind(this)
        ? [leftMs, 0]
        : [Math.min(pauseMs, lookInMs, leftMs), lookInMs < pauseMs ? 0 : pauseMs / 4];
      try {
        await this.#queues.pause(this, restMs, slackMs);
      } catch (error) {
        this.#outlast(error, deadlineMs); // its entry could not be kept
      }
      this.#refuseIfEnded();
      answer = await this.#lookThroughOutages(deadlineMs);
    }
  }

  /** One look, asked again until it is answered, or `waitMs` is over. */
  async #lookThroughOutages(deadlineMs: number, first?: FirstResult): Promise<SettledAnswer> {
    for (let given: Partial<FirstResult> | undefined = first; ; ) {
      try {
        const answer = await this.#queues.look(this, () => this.#look(given));
        if (given?.failure) {
          this.#onRecovered();
        }
        return answer;
      } catch (error) {
        const failure = this.#outlast(error, deadlineMs);
        await this.#clock.sleep(Math.min(MAX_RETRY_MS, deadlineMs - this.#clock.monotonicNowMs()), {
          signal: this.#interrupted(),
        });
        this.#refuseIfEnded();
        const leftMs = Math.min(this.#requestTimeoutMs, deadlineMs - this.#clock.monotonicNowMs());
        given = { failure, deadline: after(this.#clock.now(), leftMs) };
      }
    }
  }

  /** @throws the error, unless it may pass while there is time left to wait */
  #outlast(error: unknown, deadlineMs: number): UnavailableError {
    this.#refuseIfEnded();
    if (!(error instanceof UnavailableError) || isHopeless(error) || this.#clock.monotonicNowMs() >= deadlineMs) {
      throw error;
    }
    this.#onOutage(error);
    return error;
  }

  /** One look. Asks again until it is answered, or Postgres has not answered for `requestTimeoutMs`. */
  #look({ failure, deadline }: Partial<FirstResult> = {}): Promise<SettledAnswer> {
    const until = deadline ?? after(this.#clock.now(), this.#requestTimeoutMs);
    return retry({
      clock: this.#clock,
      attempt: async (leftMs) => {
        await this.#backend.open(leftMs);
        this.#refuseIfEnded();
        const answer = await withTimeoutOf(this.#clock, this.#ask(until), Math.max(1, this.#clock.msUntil(until)));
        return settled(answer) ?? undefined;
      },
      deadline: until,
      firstMs: FIRST_RETRY_MS,
      maxMs: MAX_RETRY_MS,
      refuse: () => this.#refuseIfEnded(),
      interrupt: () => this.#interrupted(),
      giveUp: ({ outcome }) => outcome === "not-sent" && (this.#isOver || (this.#isTry && !this.#backend.wasReady)),
      failure: failure ?? null,
      exhausted: (failed) => failed ?? new UnavailableError({ outcome: "unknown" }),
    });
  }

  async #ask(deadline: Instant): Promise<AcquireAnswer> {
    const claim = this.#claim;
    const { key, token, terms, ticket } = claim;
    claim.attemptSent();
    try {
      // `open` has had an answer from the server, so the server's time is known.
      const notAfterMs = this.#backend.serverTimeAt(deadline) ?? 0;
      const answer = await this.#backend.acquire({ key, token, terms, notAfterMs, ticket });
      claim.take(answer);
      return answer;
    } catch (error) {
      claim.attemptFailed(error, deadline);
      throw error;
    }
  }

  get #isTry(): boolean {
    return this.#claim.terms.waitMs === 0;
  }

  /** A wait that has lasted as long as it may. */
  get #isOver(): boolean {
    const { startedAt, terms } = this.#claim;
    return !this.#isTry && this.#clock.elapsedMs(startedAt) >= terms.waitMs;
  }

  #refuseIfEnded(): void {
    if (this.#ended !== null) {
      throw this.#ended.error;
    }
  }

  /** Fires when the wait is ended. Made when something first sleeps, because most waits never do. */
  #interrupted(): AbortSignal {
    this.#interrupt ??= new AbortController();
    return this.#interrupt.signal;
  }
}

function settled(answer: AcquireAnswer | null): SettledAnswer | null {
  return answer === null || answer.outcome === "late" || answer.outcome === "unproven" ? null : answer;
}

export function refusal(
  outcome: NotGranted["outcome"],
  answer: { readonly holder: Holder | null; readonly blockingPid?: number | null },
): NotGranted {
  return { outcome, holder: answer.holder, blockingPid: answer.blockingPid ?? null };
}
