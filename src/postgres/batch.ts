import { troubleOf } from "./server-errors.js";

interface Entry<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** How often a batch is sent again after a deadlock. Tokens come from the client, so that is safe. */
const MAX_CONFLICTS = 10;

/**
 * One statement in flight; what is asked for meanwhile goes into the next. No timer: when idle, an item waits for the end of
 * the current turn of the event loop's microtasks and no longer.
 */
export class Batcher<Item, Result> {
  readonly #send: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly #maxItems: number;
  #waiting: Entry<Item, Result>[] = [];
  #isSending = false;

  /** `send` answers one result per item, in their order. */
  constructor(send: (items: readonly Item[]) => Promise<readonly Result[]>, maxItems: number) {
    this.#send = send;
    this.#maxItems = maxItems;
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (!this.#isSending) {
        this.#isSending = true;
        void Promise.resolve().then(() => this.#run());
      }
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#deliver(this.#waiting.splice(0, this.#maxItems));
    }
    this.#isSending = false;
  }

  async #deliver(entries: readonly Entry<Item, Result>[]): Promise<void> {
    try {
      const results = await this.#sendAgain(entries.map((entry) => entry.item));
      entries.forEach((entry, index) => {
        // `send` answers every item.
        entry.resolve(results[index] as Result);
      });
    } catch (error) {
      if (entries.length > 1 && troubleOf(error) === "item") {
        // One bad item must not fail the others: halve until it is alone.
        const middle = entries.length >> 1;
        await this.#deliver(entries.slice(0, middle));
        await this.#deliver(entries.slice(middle));
        return;
      }
      for (const entry of entries) {
        entry.reject(error);
      }
    }
  }

  async #sendAgain(items: readonly Item[]): Promise<readonly Result[]> {
    for (let conflicts = 0; ; conflicts += 1) {
      try {
        return await this.#send(items);
      } catch (error) {
        if (troubleOf(error) !== "conflict" || conflicts >= MAX_CONFLICTS) {
          throw error;
        }
      }
    }
  }
}
