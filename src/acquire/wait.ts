import { after } from "../runtime/clock.js";
import type { Ticket } from "../store/messages.js";
import type { Waiter } from "./local-queue.js";
import type { LocalQueues } from "./local-queues.js";
import type { FirstResult, Looks } from "./looks.js";
import { type Granted, type NotGranted, refusal, type SettledAnswer, settled } from "./results.js";

/** How often a waiter looks without being woken. NOTIFY is a hint (rule 10): a lost wake-up costs this much. */
const POLL_MS = 1_000;
const JITTER = 0.2;
const BUSY_MS = 10;
/** The pause after a look that Postgres has not answered, unless the terms have a pace. */
const OUTAGE_MS = 500;

/** Looks again and again, in the queue of the key, until it is granted, timed out or ended. */
export class Wait implements Waiter {
  readonly key: string;
  readonly token: string;
  readonly isReader: boolean;
  readonly isShared: boolean;
  readonly #looks: Looks;
  readonly #queues: LocalQueues;
  /** These fields belong to the queues that it is in, see Waiter. */
  dueAtMs = 0;
  slackMs = 0;
  isWoken = false;
  isCalled = false;
  /** Ends its pause; with an error, its wait. */
  resume: ((error?: unknown) => void) | null = null;
  before: Waiter | null = null;
  behind: Waiter | null = null;

  constructor(looks: Looks, queues: LocalQueues) {
    this.key = looks.claim.key;
    this.token = looks.claim.token;
    const { share } = looks.claim.terms;
    this.isShared = share !== null;
    this.isReader = share !== null && share.capacity === null;
    this.#looks = looks;
    this.#queues = queues;
  }

  /** Its ticket, once an answer has given it one. */
  get ticket(): Ticket | null {
    return this.#looks.claim.ticket;
  }

  set ticket(ticket: Ticket | null) {
    this.#looks.claim.ticket = ticket;
  }

  /** @throws UnavailableError when Postgres does not answer and `waitMs` is over; at once when waiting cannot help */
  async run(first: FirstResult): Promise<Granted | NotGranted> {
    this.#queues.join(this);
    this.#looks.onEnded = () => this.#queues.leave(this);
    try {
      return await this.#lookAgainAndAgain(first);
    } finally {
      this.#queues.leave(this);
    }
  }

  async #lookAgainAndAgain(first: FirstResult): Promise<Granted | NotGranted> {
    const looks = this.#looks;
    let busyMs = BUSY_MS;
    let answer = settled(first.answer) ?? (await this.#lookThroughOutages(first));
    for (;;) {
      if (answer.outcome === "granted") {
        return answer;
      }
      if ("ticket" in answer && answer.ticket !== null) {
        this.#queues.setTicket(this, answer.ticket);
      }
      const { leftMs } = looks;
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
        looks.outlast(error); // its entry could not be kept
      }
      looks.refuseIfEnded();
      answer = await this.#lookThroughOutages();
    }
  }

  /** One look, asked again until it is answered, or `waitMs` is over. */
  async #lookThroughOutages(first?: FirstResult): Promise<SettledAnswer> {
    const looks = this.#looks;
    const { pace } = looks.claim.terms;
    for (let given: Partial<FirstResult> | undefined = first; ; ) {
      try {
        const answer = await this.#queues.look(this, () => looks.look(given));
        if (given?.failure) {
          looks.onRecovered();
        }
        pace?.answered();
        return answer;
      } catch (error) {
        const failure = looks.outlast(error);
        await looks.pause(Math.min(pace?.failed(failure) ?? OUTAGE_MS, looks.leftMs));
        given = { failure, deadline: after(looks.clock.now(), Math.min(looks.requestTimeoutMs, looks.leftMs)) };
      }
    }
  }
}
