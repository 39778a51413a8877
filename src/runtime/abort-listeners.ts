import { setMaxListeners } from "node:events";

const callbacksOf = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls the callback once when the signal fires. Returns a function that removes it. However many calls use one signal, it has one listener:
 * Node would warn of a leak from the eleventh on.
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

/** Any number of listeners is right for this signal of ours. Only Node's own warns of many, and only that can be told: jsdom, say, has another. */
export function allowManyListeners(signal: AbortSignal): void {
  try {
    setMaxListeners(0, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_INVALID_ARG_TYPE") throw error;
  }
}
