import { type Clock, systemClock } from "./clock.js";

/** No answer within the time given. The outcome of what was sent is unknown. */
export class RequestTimeout extends Error {}

/** Settles as `promise` does, or rejects with RequestTimeout after `ms`, having called `onTimeout`. */
export function withTimeout<T>(promise: Promise<T>, ms: number, onTimeout?: () => void): Promise<T> {
  return withTimeoutOf(systemClock, promise, ms, onTimeout);
}

/** The same by another clock. */
export function withTimeoutOf<T>(clock: Clock, promise: Promise<T>, ms: number, onTimeout?: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.startTimer(ms, () => {
      reject(new RequestTimeout(`no answer within ${Math.max(0, Math.round(ms))} ms`));
      onTimeout?.();
    });
    promise.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error: unknown) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}
