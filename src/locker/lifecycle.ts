import type { Acquires } from "../acquire/acquires.js";
import type { SetParts } from "../acquire/set-parts.js";
import { ClosedError } from "../errors/errors.js";
import type { Holdings } from "../hold/holdings.js";
import type { Activity } from "../runtime/activity.js";
import type { Background } from "../runtime/background.js";
import { after } from "../runtime/clock.js";
import type { Backend } from "../store/backend.js";
import type { Calls } from "./calls.js";
import type { Flushing } from "./flushing.js";
import type { Sweeping } from "./sweeping.js";

/** How long a last word may take once it is due: a new connection and one round trip. */
const LAST_WORD_MS = 250;

export interface LifecycleInit {
  readonly backend: Backend;
  readonly acquires: Acquires;
  readonly sets: SetParts;
  readonly holdings: Holdings;
  /** Of sets that are not whole. */
  readonly parts: Holdings;
  readonly activity: Activity;
  readonly background: Background;
  readonly sweeping: Sweeping;
  readonly flushing: Flushing;
  readonly calls: Calls;
  readonly requestTimeoutMs: number;
}

/** How a locker opens, rests while it is idle, and is closed. */
export class Lifecycle {
  readonly #parts: LifecycleInit;

  constructor(parts: LifecycleInit) {
    this.#parts = parts;
  }

  open(): Promise<void> {
    const { backend, calls, requestTimeoutMs } = this.#parts;
    return calls.run(() => backend.open(requestTimeoutMs));
  }

  /** Called when the locker is idle: closes its connections. Counters are flushed first, which counts as use. */
  rest(): void {
    const { backend, background, flushing, sweeping } = this.#parts;
    // Stopped first: a sweep counts what it purges, and would cause another flush.
    sweeping.stop();
    if (flushing.isWanted) {
      background.add(flushing.flush());
      return;
    }
    flushing.pause();
    this.#stopTimers();
    void backend.rest();
  }

  /** Holders have `drainMs` to let go by themselves. A second call waits for the first one. */
  close(drainMs: number): Promise<void> {
    return this.#parts.calls.close(() => this.#close(drainMs));
  }

  async #close(drainMs: number): Promise<void> {
    const { backend, acquires, sets, holdings, activity, background, sweeping, flushing, calls } = this.#parts;
    const { clock } = backend;
    const closed = new ClosedError({ message: "The locker was closed while this call waited." });
    acquires.end(closed);
    sets.end(closed);
    holdings.announceClosing();
    // In this turn of the event loop each acquire starts its last word, or delivers a grant that has just arrived.
    await clock.sleep(0);
    await holdings.drain(drainMs);
    // Last words wait until the server refuses attempts without an answer, after requestTimeoutMs.
    const deadline = after(clock.now(), this.#parts.requestTimeoutMs * 1.1 + LAST_WORD_MS);
    const leftMs = (): number => Math.max(LAST_WORD_MS, clock.msUntil(deadline));
    await holdings.releaseAll();
    await Promise.all([background.settle(leftMs()), flushing.end()]);
    activity.stop();
    sweeping.stop();
    this.#stopTimers();
    calls.end();
    await backend.close(leftMs());
  }

  #stopTimers(): void {
    this.#parts.acquires.stopTimers();
    this.#parts.holdings.stopTimers();
    this.#parts.parts.stopTimers();
  }
}
