// Captured when this module is loaded: fake timers that a user's test installs later must not stop renewals.
const { setTimeout, clearTimeout, setInterval, clearInterval, Date: WallClock } = globalThis;
const monotonic = performance.now.bind(performance);

/**
 * A moment of this process on both of its clocks. The monotonic one is never set, but stands still while the machine is
 * suspended; the wall clock goes on then, but can be set. A deadline is past when either says so.
 */
export interface Instant {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/**
 * Time, and what waits for it. A locker takes it from its backend, so that a test can move the time of one locker while the others go on
 * (`leasehold/testing`).
 */
export abstract class Clock {
  /** The monotonic clock alone, for pacing and measuring. */
  abstract monotonicNowMs(): number;

  /** The wall clock alone. */
  abstract wallNowMs(): number;

  /** Calls the callback once after `ms`. Does not keep the process alive unless asked to. A delay that is too long for a timer is shortened. */
  abstract startTimer(ms: number, callback: () => void, options?: TimerOptions): Timer;

  now(): Instant {
    return { monotonicMs: this.monotonicNowMs(), wallMs: this.wallNowMs() };
  }

  /** Milliseconds until the deadline; zero or less when it is past. */
  msUntil(deadline: Instant): number {
    return Math.min(deadline.monotonicMs - this.monotonicNowMs(), deadline.wallMs - this.wallNowMs());
  }

  /** Like `msUntil`, by the monotonic clock alone: for deadlines that must not come early when the wall clock is set forward. */
  monotonicMsUntil(deadline: Instant): number {
    return deadline.monotonicMs - this.monotonicNowMs();
  }

  isPast(deadline: Instant): boolean {
    return deadline.monotonicMs <= this.monotonicNowMs() || deadline.wallMs <= this.wallNowMs();
  }

  /** Milliseconds that passed since on the monotonic clock alone: for measuring and pacing, where safety is not at stake. */
  elapsedMs(instant: Instant): number {
    return this.monotonicNowMs() - instant.monotonicMs;
  }

  /** Resolves after `ms`, or at once when `signal` aborts: it never rejects. */
  sleep(ms: number, { keepsAlive = false, signal }: SleepOptions = {}): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const finish = (): void => {
        timer.cancel();
        signal?.removeEventListener("abort", finish);
        resolve();
      };
      const timer = this.startTimer(ms, finish, { keepsAlive });
      signal?.addEventListener("abort", finish);
    });
  }
}

export interface TimerOptions {
  /** Default false. */
  readonly keepsAlive?: boolean;
}

export interface SleepOptions extends TimerOptions {
  /** Ends it early. */
  readonly signal?: AbortSignal;
}

export interface Timer {
  cancel(): void;
}

/** Longest delay of a timer: beyond 2^31 - 1 ms Node fires at once. */
const MAX_DELAY_MS = 2_147_483_647;

/** The time of this process. */
class SystemClock extends Clock {
  // One call in place of three, for what is asked with every lock.

  override now(): Instant {
    return { monotonicMs: monotonic(), wallMs: WallClock.now() };
  }

  override isPast(deadline: Instant): boolean {
    return deadline.monotonicMs <= monotonic() || deadline.wallMs <= WallClock.now();
  }

  override monotonicNowMs(): number {
    return monotonic();
  }

  override wallNowMs(): number {
    return WallClock.now();
  }

  override startTimer(ms: number, callback: () => void, { keepsAlive = false }: TimerOptions = {}): Timer {
    const handle = setTimeout(callback, Math.min(Math.max(Math.ceil(ms), 0), MAX_DELAY_MS));
    if (!keepsAlive) {
      handle.unref();
    }
    return { cancel: () => clearTimeout(handle) };
  }
}

export const systemClock: Clock = new SystemClock();

// The same of the system's clock, for what has to do with connections: a test does not move their time.

export function now(): Instant {
  return { monotonicMs: monotonic(), wallMs: WallClock.now() };
}

export function monotonicNowMs(): number {
  return monotonic();
}

export function after(instant: Instant, ms: number): Instant {
  return { monotonicMs: instant.monotonicMs + ms, wallMs: instant.wallMs + ms };
}

/** Milliseconds from one moment to another, by the clock that says less. */
export function msBetween(from: Instant, to: Instant): number {
  return Math.min(to.monotonicMs - from.monotonicMs, to.wallMs - from.wallMs);
}

export function msUntil(deadline: Instant): number {
  return systemClock.msUntil(deadline);
}

export function isPast(deadline: Instant): boolean {
  return systemClock.isPast(deadline);
}

export function elapsedMs(instant: Instant): number {
  return systemClock.elapsedMs(instant);
}

export function startTimer(ms: number, callback: () => void, options?: TimerOptions): Timer {
  return systemClock.startTimer(ms, callback, options);
}

export function sleep(ms: number, options?: SleepOptions): Promise<void> {
  return systemClock.sleep(ms, options);
}

/**
 * The margin for a duration that two clocks measure side by side: 1 % and 2 ms, the margin that Redlock
 * (https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/) uses for clock drift.
 */
export function driftMarginMs(durationMs: number): number {
  return durationMs * 0.01 + 2;
}

/**
 * A timer that never fires. While it is referenced (`ref`, `unref`), it keeps the process alive. Node ends a process when only sockets and
 * timers are left that are unreferenced, as all others of a locker are: what it does in the background must not keep a finished script
 * running. (What Node cannot unreference is a lookup and a connection that is being made.)
 */
export function processHold(): NodeJS.Timeout {
  return setInterval(() => undefined, MAX_DELAY_MS);
}

export function endHold(hold: NodeJS.Timeout): void {
  clearInterval(hold);
}

/**
 * One timer for many deadlines. Set a deadline with `by`; when the earliest has come, `onDue` looks at all of them and sets the
 * next. A deadline cannot be cancelled: the timer fires once for nothing, which costs less than making and clearing a timer for each lock.
 */
export class Due {
  readonly #clock: Clock;
  readonly #onDue: () => void;
  #timer: Timer | null = null;
  #atMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, onDue: () => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** Fires at this moment of the monotonic clock, or earlier. */
  by(atMs: number): void {
    if (atMs >= this.#atMs) {
      return;
    }
    this.#timer?.cancel();
    this.#atMs = atMs;
    this.#timer = this.#clock.startTimer(atMs - this.#clock.monotonicNowMs(), () => this.#fire());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#atMs = Number.POSITIVE_INFINITY;
  }

  #fire(): void {
    this.#timer = null;
    this.#atMs = Number.POSITIVE_INFINITY;
    this.#onDue();
  }
}
