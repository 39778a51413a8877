const callbacksOf = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls once when the signal fires. Returns what takes the callback off. However many calls wait under one signal, there is
 * one listener on it: from the eleventh on Node would warn of a leak.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  let callbacks = callbacksOf.get(signal);
  if (callbacks === undefined) {
    callbacks = new Set();
    callbacksOf.set(signal, callbacks);
  }
  callbacks.add(callback);
  if (callbacks.size === 1) {
    signal.addEventListener("abort", callAll);
  }
  return () => {
    if (callbacks.delete(callback) && callbacks.size === 0) {
      signal.removeEventListener("abort", callAll);
    }
  };
}

function callAll(this: AbortSignal): void {
  for (const callback of [...(callbacksOf.get(this) ?? [])]) {
    callback();
  }
}

/** What a call rejects with. A polyfill's signal need not have a reason, nor `throwIfAborted`. */
export function abortReason({ reason }: AbortSignal): unknown {
  return reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
}
