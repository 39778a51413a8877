import { startTimer, type Timer } from "./clock.js";

export interface Activity {
  /** Something is going on until the returned function is called, once. */
  enter(): () => void;
  stop(): void;
}

export interface ActivityEvents {
  /** Something is going on, after nothing was. */
  onActive(): void;
  /** Nothing has been going on for the idle timeout. */
  onIdle(): void;
}

/** Tells when a locker is used, and when it has not been for `idleTimeoutMs`. */
export function startIdleWatch(idleTimeoutMs: number, { onActive, onIdle }: ActivityEvents): Activity {
  let count = 0;
  let timer: Timer | null = null;
  let isStopped = false;
  const leave = (): void => {
    count -= 1;
    if (count === 0 && !isStopped && idleTimeoutMs !== Number.POSITIVE_INFINITY) {
      timer = startTimer(idleTimeoutMs, onIdle);
    }
  };
  return {
    enter() {
      count += 1;
      timer?.cancel();
      timer = null;
      if (count === 1 && !isStopped) {
        onActive();
      }
      let hasLeft = false;
      return () => {
        if (!hasLeft) {
          hasLeft = true;
          leave();
        }
      };
    },
    stop() {
      isStopped = true;
      timer?.cancel();
    },
  };
}
