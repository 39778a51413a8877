import type { Attributes, Observable, ObservableResult } from "@opentelemetry/api";

interface Count {
  readonly attributes: Attributes;
  count: number;
}

/** These are reported also when there is none. */
const always: Attributes = { "leasehold.lock.mode": "exclusive" };
const alwaysText = JSON.stringify(always);

/** Active items, counted by attributes. */
export class ActiveCounts<Id> {
  readonly #active = new Map<Id, Count>();
  /** By their attributes as text. A count that has fallen to zero is kept until that was reported. */
  readonly #counts = new Map<string, Count>([[alwaysText, { attributes: always, count: 0 }]]);

  add(id: Id, attributes: Attributes): void {
    const text = JSON.stringify(attributes);
    const count = this.#counts.get(text) ?? { attributes, count: 0 };
    count.count += 1;
    this.#counts.set(text, count);
    this.#active.set(id, count);
  }

  /** Nothing happens when it was not added. */
  remove(id: Id): void {
    const count = this.#active.get(id);
    if (count !== undefined) {
      count.count -= 1;
      this.#active.delete(id);
    }
  }

  /** Reports to an instrument until the returned function is called. */
  observe(instrument: Observable): () => void {
    const callback = (result: ObservableResult): void => {
      for (const [text, { attributes, count }] of this.#counts) {
        result.observe(count, attributes);
        if (count === 0 && text !== alwaysText) {
          this.#counts.delete(text);
        }
      }
    };
    instrument.addCallback(callback);
    return () => instrument.removeCallback(callback);
  }
}
