import { InvalidOptionError } from "../errors/errors.js";
import type { Callbacks } from "../observe/callbacks.js";

/** Told once for each key, and for no more keys than this: a mistake in one place of a program may concern any number. */
const MAX_KEYS = 100;

/** Tells `onError` of keys that are shared by holders who gave different capacities, which is a mistake: the smallest counts for all. */
export class MixedCapacities {
  readonly #callbacks: Pick<Callbacks, "tell">;
  readonly #told = new Set<string>();

  constructor(callbacks: Pick<Callbacks, "tell">) {
    this.#callbacks = callbacks;
  }

  /** `others`: the smallest capacity of those who share it already. */
  found(key: string, asked: number, others: number): void {
    if (this.#told.size >= MAX_KEYS || this.#told.has(key)) {
      return;
    }
    this.#told.add(key);
    this.#callbacks.tell(
      new InvalidOptionError({
        option: "capacity",
        expected: String(others),
        received: asked,
        message: `capacity: ${JSON.stringify(key)} is shared by others with a capacity of ${others}, and was asked for with ${asked}. While both are held, the smaller one counts for all: give the same everywhere.`,
      }),
    );
  }
}
