import { Batch, type Batched, type BatchInit } from "./acts.js";

/** How many sorts of terms have statements of their own at once. */
const MAX_SORTS = 8;

/** A batch for each sort of terms (see GrantTerms), whose statement has one set of terms for all. */
export class BatchesBySort<Item extends Batched> {
  readonly #init: BatchInit<Item>;
  readonly #batches = new Map<string, Batch<Item>>();

  constructor(init: BatchInit<Item>) {
    this.#init = init;
  }

  /** Null: there are too many sorts, and it goes with a statement that takes any terms, at twice the cost for the server. */
  of(sort: string): Batch<Item> | null {
    let batch = this.#batches.get(sort);
    if (batch === undefined) {
      if (this.#batches.size >= MAX_SORTS) {
        const idle = [...this.#batches].find(([, { isIdle }]) => isIdle);
        if (idle === undefined) {
          return null;
        }
        this.#batches.delete(idle[0]);
      }
      batch = new Batch(this.#init);
      this.#batches.set(sort, batch);
    }
    return batch;
  }
}
