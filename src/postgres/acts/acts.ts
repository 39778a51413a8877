import { type LeaseholdError, UnavailableError } from "../../errors/errors.js";
import { resolved } from "../../runtime/soon.js";
import type { GrantTerms, Proof } from "../../store/messages.js";
import { localBound, type ServerClock } from "../../store/server-clock.js";
import type { Connections } from "../connection/connections.js";
import type { Answer, Lane } from "../connection/lane.js";
import type { Parameter, Row } from "../connection/link.js";
import { troubleOf } from "../connection/server-errors.js";
import type { ActiveSession } from "../session/presence.js";
import type { Session } from "../session/session.js";
import type { SessionCheck } from "../session/session-check.js";
import type { Notifier } from "./notify.js";

/** Items in one statement: enough to share the commit, few enough that a statement stays short. */
export const MAX_BATCH = 1_000;

/**
 * Acquires and releases in one statement. With 1,024 in flight two halves take turns: the server works on one while the client works
 * on the other, which gives 10 % more. With fewer in flight the cost of two statements outweighs that.
 */
export const MAX_CYCLES = 512;

/** An answer to something that was asked in the name of a session. */
export interface Proven {
  readonly answer: Answer;
  /** Null without presence. */
  readonly session: ActiveSession | null;
  readonly incarnation: number;
}

export interface ActsInit {
  readonly connections: Connections;
  /** Null without presence. */
  readonly session: Session | null;
  readonly sessionCheck: SessionCheck;
  readonly clock: ServerClock;
  readonly notifier: Notifier;
  readonly takeoverDelayMs: number;
  readonly toPublicError: (error: unknown) => LeaseholdError;
}

/** What the acts share: the connections, the session in whose name they ask, and what every answer tells besides. */
export class Acts {
  readonly connections: Connections;
  readonly session: Session | null;
  readonly sessionCheck: SessionCheck;
  readonly clock: ServerClock;
  readonly takeoverDelayMs: number;
  readonly toPublicError: (error: unknown) => LeaseholdError;
  readonly #notifier: Notifier;

  constructor({ connections, session, sessionCheck, clock, notifier, takeoverDelayMs, toPublicError }: ActsInit) {
    this.connections = connections;
    this.session = session;
    this.sessionCheck = sessionCheck;
    this.clock = clock;
    this.takeoverDelayMs = takeoverDelayMs;
    this.toPublicError = toPublicError;
    this.#notifier = notifier;
  }

  async ask(lane: Lane, text: string, parameters: readonly Parameter[]): Promise<Answer> {
    const answer = await lane.query(text, parameters);
    this.learn(answer);
    return answer;
  }

  /**
   * Asks in the name of the session, which the server checks: its number, its nonce and, `withDelay`, the takeover delay come first among
   * the parameters. Null when no session stands.
   * @throws UnavailableError when a commit meanwhile is not known to have reached its synchronous standby
   */
  async askProven(
    lane: Lane,
    text: string,
    parameters: readonly Parameter[],
    { withDelay = true }: { withDelay?: boolean } = {},
  ): Promise<Proven | null> {
    const active = this.session?.active ?? null;
    if (this.session !== null && active === null) {
      return null;
    }
    const { unconfirmedCommits } = this.connections;
    const who: Parameter[] = [active?.id ?? null, active?.nonce ?? null];
    if (withDelay) {
      who.push(active === null ? null : this.takeoverDelayMs);
    }
    const answer = await lane.query(text, who.concat(parameters));
    this.learn(answer);
    if (this.connections.unconfirmedCommits !== unconfirmedCommits) {
      throw new UnavailableError({
        outcome: "unknown",
        message:
          "The wait for a synchronous standby was cancelled: nothing that this statement granted or renewed is certain.",
      });
    }
    return { answer, session: active, incarnation: active?.incarnation ?? 0 };
  }

  /** Every answer with a `now` tells the server's time. */
  learn({ rows, receivedAt }: Answer): void {
    const serverMs = Number(rows[0]?.now);
    if (serverMs > 0) {
      this.clock.learn(serverMs, receivedAt.monotonicMs);
    }
  }

  /** Tells the processes whose waiters are next in the queues of these keys. */
  notifyNext(keys: readonly string[]): void {
    if (keys.length > 0) {
      this.#notifier.add(keys, this.session?.id ?? null);
    }
  }
}

/** What a grant is asked for with: owner, TTL, minimum and maximum hold, metadata. */
export function leaseTerms({ owner, ttlMs, minHoldMs, maxHoldMs, metadata }: GrantTerms): readonly Parameter[] {
  return [owner, ttlMs, minHoldMs, maxHoldMs === Number.POSITIVE_INFINITY ? null : maxHoldMs, metadata.json];
}

/** Until when a lease lasts that was granted or renewed. */
export function toProof(expiresAtMs: number, { answer, incarnation }: Proven): Proof {
  const serverMs = Number(answer.rows[0]?.now);
  return { until: localBound(expiresAtMs, { sentAt: answer.sentAt, serverMs }), expiresAtMs, incarnation };
}

/** Answers name their item by its number, counted from 1, and come in any order. */
export function inOrder<Result>(count: number, rows: readonly Row[], read: (row: Row) => Result): readonly Result[] {
  const results = new Array<Result>(count);
  for (const row of rows) {
    results[Number(row.item) - 1] = read(row);
  }
  return results;
}

/** What can be told that it failed. Its answer it gets from `send`. */
export interface Batched {
  onFailure(error: LeaseholdError): void;
}

export interface BatchInit<Item> {
  /** Sends one statement for all, and answers each of them. When it rejects it has answered none. */
  readonly send: (items: readonly Item[]) => Promise<void>;
  readonly maxItems: number;
  readonly toPublicError: (error: unknown) => LeaseholdError;
}

/** How often a batch is sent again after a deadlock (rule 5). Tokens come from the client, so that is safe. */
export const MAX_CONFLICTS = 10;

/**
 * One statement in flight; what is asked for meanwhile goes into the next. No timer: when idle, an item waits for the end of the current
 * turn of the event loop's microtasks and no longer. Two statements in flight were tried: what each costs in itself outweighs what their
 * overlap gains (41,521 cycles/s became 38,644 at best).
 */
export class Batch<Item extends Batched> {
  readonly #init: BatchInit<Item>;
  #waiting: Item[] = [];
  #isSending = false;

  constructor(init: BatchInit<Item>) {
    this.#init = init;
  }

  get isIdle(): boolean {
    return !this.#isSending;
  }

  /** A function of its own, so that an act can hand it out. */
  readonly add = (item: Item): void => {
    this.#waiting.push(item);
    if (!this.#isSending) {
      this.#isSending = true;
      void resolved.then(this.#run);
    }
  };

  /** Never rejects. */
  readonly #run = async (): Promise<void> => {
    const { send, maxItems } = this.#init;
    while (this.#waiting.length > 0) {
      let items = this.#waiting;
      if (items.length <= maxItems) {
        this.#waiting = [];
      } else {
        items = this.#waiting.splice(0, maxItems);
      }
      try {
        await send(items);
      } catch (error) {
        await this.#recover(items, error, 0);
      }
    }
    this.#isSending = false;
  };

  /** Never rejects. `conflicts`: how often these were sent again. */
  async #recover(items: readonly Item[], error: unknown, conflicts: number): Promise<void> {
    const trouble = troubleOf(error);
    if (trouble === "conflict" && conflicts < MAX_CONFLICTS) {
      await this.#sendAgain(items, conflicts + 1);
    } else if (trouble === "item" && items.length > 1) {
      // One bad item must not fail the others: halve until it is alone.
      const middle = items.length >> 1;
      await this.#sendAgain(items.slice(0, middle), 0);
      await this.#sendAgain(items.slice(middle), 0);
    } else {
      for (const item of items) {
        item.onFailure(this.#init.toPublicError(error));
      }
    }
  }

  async #sendAgain(items: readonly Item[], conflicts: number): Promise<void> {
    try {
      await this.#init.send(items);
    } catch (error) {
      await this.#recover(items, error, conflicts);
    }
  }
}

/** A request whose answer somebody awaits. */
export class Asked<Request, Answer> implements Batched {
  readonly request: Request;
  readonly onAnswer: (answer: Answer) => void;
  readonly onFailure: (error: LeaseholdError) => void;

  private constructor(
    request: Request,
    onAnswer: (answer: Answer) => void,
    onFailure: (error: LeaseholdError) => void,
  ) {
    this.request = request;
    this.onAnswer = onAnswer;
    this.onFailure = onFailure;
  }

  static in<Request, Answer>(batch: Batch<Asked<Request, Answer>>, request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => batch.add(new Asked<Request, Answer>(request, resolve, reject)));
  }
}
