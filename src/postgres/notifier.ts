import { plainArray } from "./array-literal.js";
import type { Lane } from "./lane.js";
import { NOTIFY } from "./statements.js";

/**
 * Tells other sessions that somebody of theirs is next. In the background: it is a hint, and polling is the truth. One
 * statement at a time, for commits that notify serialise the whole server.
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

  async #send(): Promise<void> {
    while (this.#sessions.size > 0) {
      const sessions = [...this.#sessions];
      this.#sessions.clear();
      await this.#lane.query(NOTIFY, [plainArray(sessions)]).catch(() => undefined);
    }
    this.#isSending = false;
  }
}
