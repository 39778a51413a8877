import { startTimer, type Timer } from "./clock.js";

export interface Activity {
  /** Something is going on until the returned function is called, once. */
  enter(): () => void;
  stop(): void;
}

/** Calls `onIdle` whenever nothing has been going on for `idleTimeoutMs`. */
export function startIdleWatch(idleTimeoutMs: number, onIdle: () => void): Activity {
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
