import type { Lane } from "../connection/lane.js";
import { textArray } from "./array-literal.js";

export const NOTIFY_NEXT =
  "select leasehold_internal.notify_next($1::int, $2::pg_catalog.text::pg_catalog.text[]) as keys";

/**
 * Tells other processes that a waiter of theirs is next in the queues of keys that were released. In the background: it is a hint, and
 * polling is the truth. One statement at a time, for commits that notify are serialised over the whole server (rule 10).
 */
export class Notifier {
  readonly #lane: Lane;
  readonly #onOurs: (key: string) => void;
  readonly #keys = new Set<string>();
  #isSending = false;

  /** `onOurs`: called with each key for which a waiter of this process may be next. */
  constructor(lane: Lane, onOurs: (key: string) => void) {
    this.#lane = lane;
    this.#onOurs = onOurs;
  }

  /** `session`: ours, which need not be told. The statement is sent in this very turn, unless one is on its way. */
  add(keys: readonly string[], session: number | null): void {
    for (const key of keys) {
      this.#keys.add(key);
    }
    if (!this.#isSending && this.#keys.size > 0) {
      this.#isSending = true;
      void this.#send(session);
    }
  }

  /** Never rejects. */
  async #send(session: number | null): Promise<void> {
    while (this.#keys.size > 0) {
      const keys = [...this.#keys].slice(0, MOST_KEYS);
      for (const key of keys) {
        this.#keys.delete(key);
      }
      const answer = await this.#lane
        .query(NOTIFY_NEXT, [session, textArray(keys, (key) => key)])
        .catch(() => undefined);
      const ours = answer?.rows[0]?.keys ?? null;
      if (ours !== null) {
        for (const key of JSON.parse(ours as string) as string[]) {
          this.#onOurs(key);
        }
      }
    }
    this.#isSending = false;
  }
}

/** As many as a statement may have. */
const MOST_KEYS = 1_000;
