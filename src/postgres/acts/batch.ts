import type { LeaseholdError } from "../../errors/errors.js";
import { troubleOf } from "../connection/server-errors.js";

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
const MAX_CONFLICTS = 10;

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

  add(item: Item): void {
    this.#waiting.push(item);
    if (!this.#isSending) {
      this.#isSending = true;
      queueMicrotask(this.#run);
    }
  }

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
