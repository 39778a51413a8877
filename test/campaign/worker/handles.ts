// The locks that this worker was granted, and what it believes of them, every few milliseconds.
import type { Lock } from "../../../src/index.js";
import type { Grant, Terms } from "../log.js";
import { type LogFile, now } from "./log-file.js";

const TICK_MS = 10;
const LATE_MS = 20;
/** How long a handle is still asked when it has ended: it must not come back. */
const AFTERMATH_US = 2_000_000;
/** Of the samples in which it holds, one in so many is written down, and each that is near its end. */
const ONE_IN = 10;
const NEAR_END_MS = 200;

export interface Handle {
  readonly lock: Lock;
  readonly grant: Grant;
  /** When this worker let go of it or was told that it is lost; undefined while it may be held. In microseconds. */
  readonly endedAt: number | undefined;
}

class Watched implements Handle {
  readonly lock: Lock;
  readonly grant: Grant;
  endedAt: number | undefined;
  /** Why its signal has fired, while it is held all the same. */
  closing: string | undefined;
  #last: string | undefined;
  #unwritten: { readonly t: number; readonly until: number } | undefined;
  #samples = 0;

  constructor(lock: Lock, grant: Grant) {
    this.lock = lock;
    this.grant = grant;
  }

  sample(log: LogFile, isWanted: boolean): void {
    const t = now();
    const held = this.lock.held;
    const asserts = doesAssert(this.lock);
    const until = now();
    const belief = `${held} ${asserts}`;
    const isNew = belief !== this.#last;
    this.#samples += 1;
    const isNearEnd = held && this.lock.remainingMs < NEAR_END_MS;
    const { lock } = this.grant;
    if (isNew || isWanted || isNearEnd || (held && this.#samples % ONE_IN === 0)) {
      // the last moment at which it still believed, which is what matters
      if (isNew && this.#unwritten) {
        const { t, until } = this.#unwritten;
        log.write({ e: "belief", lock, held: true, asserts: true, until }, t);
      }
      log.write({ e: "belief", lock, held, asserts, until }, t);
      this.#unwritten = undefined;
    } else if (held && asserts) {
      this.#unwritten = { t, until };
    }
    this.#last = belief;
    if (this.closing !== undefined && !held) this.lose(log, this.closing);
  }

  lose(log: LogFile, reason: string): void {
    this.closing = undefined;
    this.endedAt ??= now();
    log.write({ e: "lost", lock: this.grant.lock, reason });
  }
}

function doesAssert(lock: Lock): boolean {
  try {
    lock.assertHeld();
    return true;
  } catch {
    return false;
  }
}

export class Handles {
  readonly #log: LogFile;
  readonly #watched = new Map<Handle, Watched>();
  #timer: NodeJS.Timeout | undefined;
  #granted = 0;

  constructor(log: LogFile) {
    this.#log = log;
  }

  start(): void {
    let expected = now() + TICK_MS * 1_000;
    let ticks = 0;
    this.#timer = setInterval(() => {
      const t = now();
      const lateMs = Math.round((t - expected) / 1_000);
      if (lateMs > LATE_MS) this.#log.write({ e: "lag", ms: lateMs }, t);
      expected = t + TICK_MS * 1_000;
      this.sampleAll();
      ticks += 1;
      if (ticks % 100 === 0) this.#log.write({ e: "clock", wall: Date.now() * 1_000 });
    }, TICK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#watched.clear();
  }

  /** To be called in the turn in which the lock was granted. */
  add(lock: Lock, terms: Terms, token: string | null = null): Handle {
    this.#granted += 1;
    const grant: Grant = {
      ...terms,
      lock: String(this.#granted),
      key: lock.key,
      fence: String(lock.fence),
      token,
      ttlMs: lock.ttlMs,
    };
    const handle = new Watched(lock, grant);
    this.#watched.set(handle, handle);
    const onLoss = (): void => {
      const reason = String(lock.signal.reason?.reason ?? lock.signal.reason?.name);
      // a locker that is closed tells its holders, who have `drainMs` to let go
      if (reason === "closed" && lock.held) handle.closing = reason;
      else handle.lose(this.#log, reason);
    };
    if (lock.signal.aborted) onLoss();
    else lock.signal.addEventListener("abort", onLoss, { once: true });
    return handle;
  }

  /** It was released, or detached. */
  ended(handle: Handle): void {
    const watched = this.#watched.get(handle);
    if (watched) watched.endedAt ??= now();
  }

  /** Of one handle, written down whatever it is. */
  sample(handle: Handle): void {
    this.#watched.get(handle)?.sample(this.#log, true);
  }

  sampleAll(isWanted = false): void {
    const forgotten = now() - AFTERMATH_US;
    for (const watched of this.#watched.values()) {
      if (watched.endedAt !== undefined && watched.endedAt < forgotten) this.#watched.delete(watched);
      else watched.sample(this.#log, isWanted);
    }
  }
}
