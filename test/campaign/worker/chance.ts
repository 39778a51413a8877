// What a flow draws its whims from. Each flow has numbers of its own, so that they do not depend on how fast the others are.
import { randomFrom } from "../../support/random.js";

export class Chance {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
  }

  /** From 0 to below 1. */
  number(): number {
    return this.#random();
  }

  /** True that often: 0 to 1. */
  is(share: number): boolean {
    return this.#random() < share;
  }

  /** An integer, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.#random() * (most - least + 1));
  }

  pick<T>(from: readonly [T, ...T[]] | readonly T[]): T {
    if (from.length === 0) throw new Error("nothing to pick from");
    return from[Math.floor(this.#random() * from.length)] as T;
  }

  shuffled<T>(items: readonly T[]): T[] {
    const drawn = items.map((item) => ({ item, at: this.#random() }));
    return drawn.sort((one, other) => one.at - other.at).map(({ item }) => item);
  }

  /** One of them, as often as its weight says. */
  weighted<T extends { readonly weight: number }>(from: readonly T[]): T {
    let at = this.#random() * from.reduce((sum, { weight }) => sum + weight, 0);
    for (const item of from) {
      at -= item.weight;
      if (at < 0) return item;
    }
    throw new Error("nothing has a weight");
  }
}
