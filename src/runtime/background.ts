import type { Activity } from "./activity.js";
import { after, type Clock } from "./clock.js";

/** Work that no caller awaits, such as last words: connections are kept open for it, and `close` waits for it. */
export class Background {
  readonly #clock: Clock;
  readonly #activity: Activity;
  #count = 0;
  #onSettled: (() => void) | null = null;

  constructor(clock: Clock, activity: Activity) {
    this.#clock = clock;
    this.#activity = activity;
  }

  /** Must be followed by one call of `end`. */
  begin(): void {
    this.#count += 1;
    this.#activity.begin();
  }

  end(): void {
    this.#activity.end();
    this.#ended();
  }

  /** The same for a call that the user awaits, but that `close` has to wait for as well. Must be followed by one call of `endCall`. */
  beginCall(): void {
    this.#count += 1;
    this.#activity.beginCall();
  }

  endCall(): void {
    this.#activity.endCall();
    this.#ended();
  }

  /** `work` never rejects. */
  add(work: Promise<void>): void {
    this.begin();
    void work.finally(() => this.end());
  }

  #ended(): void {
    this.#count -= 1;
    if (this.#count === 0) {
      this.#onSettled?.();
    }
  }

  /** Resolves when nothing is left to do, or after `ms`. One caller at a time. */
  async settle(ms: number): Promise<void> {
    const deadline = after(this.#clock.now(), ms);
    while (this.#count > 0 && this.#clock.msUntil(deadline) > 0) {
      const settled = new AbortController();
      this.#onSettled = () => settled.abort();
      await this.#clock.sleep(this.#clock.msUntil(deadline), { signal: settled.signal });
    }
    this.#onSettled = null;
  }
}
