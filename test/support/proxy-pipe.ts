import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Closes a socket at once, if possible with a reset. */
export function reset(socket: Socket): void {
  if (socket.destroyed) return;
  // a reset first waits for all that is to be written, and after an end Node loses the handle: EINVAL, and never a close
  const mustNotWait = socket.connecting || socket.writableEnded || socket.writableLength > 0;
  if (mustNotWait) socket.destroy();
  else socket.resetAndDestroy();
}

/**
 * One direction of a connection. While it is shut, what goes in waits, as in a network that drops packets and whose ends
 * send them again; its end waits with it.
 */
export class Pipe {
  readonly #to: Socket;
  readonly #delayMs: () => number;
  readonly #waiting: { readonly what: Buffer | "end" | "reset"; readonly since: number }[] = [];
  readonly #reasons = new Set<string>();
  #sending = false;

  constructor(to: Socket, delayMs: () => number) {
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
      else if (next === "reset") reset(this.#to);
      else if (next && this.#to.writable) this.#to.write(next);
    }
    this.#sending = false;
  }
}
