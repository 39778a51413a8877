import { setTimeout as sleep } from "node:timers/promises";
import type { Side } from "./proxy-side.js";

/**
 * One direction of a connection. While it is shut, what goes in waits, as in a network that drops packets and whose ends
 * send them again; its end waits with it.
 */
export class Pipe {
  readonly #to: Side;
  readonly #delayMs: () => number;
  readonly #waiting: { readonly what: Buffer | "end" | "reset"; readonly since: number }[] = [];
  readonly #reasons = new Set<string>();
  #sending = false;

  constructor(to: Side, delayMs: () => number) {
    this.#to = to;
    this.#delayMs = delayMs;
  }

  send(what: Buffer | "end" | "reset"): void {
    this.#waiting.push({ what, since: performance.now() });
    void this.#flush();
  }

  shut(reason: string): void {
    this.#reasons.add(reason);
  }

  open(reason: string): void {
    this.#reasons.delete(reason);
    void this.#flush();
  }

  async #flush(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    while (this.#waiting.length > 0 && this.#reasons.size === 0) {
      // each from when it came: what comes together arrives together
      const delayMs = (this.#waiting[0]?.since ?? 0) + this.#delayMs() - performance.now();
      if (delayMs > 0) {
        await sleep(delayMs, undefined, { ref: false });
        if (this.#reasons.size > 0) break;
      }
      const next = this.#waiting.shift()?.what;
      if (next === "end") this.#to.end();
      else if (next === "reset") this.#to.reset();
      else if (next && this.#to.isWritable) this.#to.write(next);
    }
    this.#sending = false;
  }
}
