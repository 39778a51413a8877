import { abortReason, allowManyListeners, onAbort } from "./abort-listeners.js";

export interface JoinedSignals {
  /** Fires with the first of them, and with its reason. */
  readonly signal: AbortSignal;
  /** Takes its listeners off them: it does not fire any more. */
  end(): void;
}

/** Several signals as one, those of polyfills, too: `AbortSignal.any` takes only Node's own. Null: there is none. */
export function joinSignals(signals: readonly (AbortSignal | null)[]): JoinedSignals {
  const joined = new AbortController();
  allowManyListeners(joined.signal);
  const stops: (() => void)[] = [];
  for (const signal of signals) {
    if (signal?.aborted) {
      joined.abort(abortReason(signal));
    } else if (signal !== null) {
      stops.push(onAbort(signal, () => joined.abort(abortReason(signal))));
    }
  }
  const end = (): void => {
    for (const stop of stops) {
      stop();
    }
  };
  return { signal: joined.signal, end };
}
