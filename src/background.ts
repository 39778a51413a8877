import type { Activity } from "./activity.js";
import { after, msUntil, now, sleep } from "./clock.js";

/** Work that no caller awaits, such as last words: the connections are kept for it, and `close` waits for it. */
export class Background {
  readonly #activity: Activity;
  readonly #tasks = new Set<Promise<void>>();

  constructor(activity: Activity) {
    this.#activity = activity;
  }

  /** `work` never rejects. */
  add(work: Promise<void>): void {
    const leave = this.#activity.enter();
    const task = work.finally(() => {
      this.#tasks.delete(task);
      leave();
    });
    this.#tasks.add(task);
  }

  /** Resolves when nothing is left to do, or after `ms`. */
  async settle(ms: number): Promise<void> {
    const deadline = after(now(), ms);
    while (this.#tasks.size > 0 && msUntil(deadline) > 0) {
      const settled = new AbortController();
      void Promise.all(this.#tasks).then(() => settled.abort());
      await sleep(msUntil(deadline), { keepsAlive: true, signal: settled.signal });
    }
  }
}
