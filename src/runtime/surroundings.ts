import { AsyncLocalStorage } from "node:async_hooks";

interface Surrounding<Item> {
  readonly item: Item;
  readonly outer: Surrounding<Item> | undefined;
}

/** What the running code is inside of, over everything that it awaits. Costs nothing until `run` is first called; then each promise. */
export class Surroundings<Item> {
  readonly #storage = new AsyncLocalStorage<Surrounding<Item>>();

  run<Value>(item: Item, body: () => Value): Value {
    return this.#storage.run({ item, outer: this.#storage.getStore() }, body);
  }

  /** The innermost first. */
  *[Symbol.iterator](): Iterator<Item> {
    for (let at = this.#storage.getStore(); at !== undefined; at = at.outer) {
      yield at.item;
    }
  }
}
