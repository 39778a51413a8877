import type { Lane } from "../connection/lane.js";
import { plainArray } from "./array-literal.js";

export const NOTIFY = "select leasehold_internal.notify($1::pg_catalog.text::int[])";

/**
 * Tells other sessions that somebody of theirs is next. In the background: it is a hint, and polling is the truth. One statement at a
 * time, for commits that notify serialise the whole server (rule 10).
 */
export class Notifier {
  readonly #lane: Lane;
  readonly #sessions = new Set<number>();
  #isSending = false;

  constructor(lane: Lane) {
    this.#lane = lane;
  }

  add(session: number): void {
    this.#sessions.add(session);
    if (!this.#isSending) {
      this.#isSending = true;
      void this.#send();
    }
  }

  /** Never rejects. */
  async #send(): Promise<void> {
    while (this.#sessions.size > 0) {
      const sessions = [...this.#sessions];
      this.#sessions.clear();
      await this.#lane.query(NOTIFY, [plainArray(sessions)]).catch(() => undefined);
    }
    this.#isSending = false;
  }
}
