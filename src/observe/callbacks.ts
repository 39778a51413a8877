import { describe } from "../runtime/describe.js";
import type { Observer } from "./observer.js";

/** Calls the user's callbacks. Their errors must not reach the protocol: they go to `onError`, or become a process warning. */
export class Callbacks {
  readonly #onError: ((error: unknown) => void) | null;
  readonly #observer: Observer;

  constructor(onError: ((error: unknown) => void) | null, observer: Observer) {
    this.#onError = onError;
    this.#observer = observer;
  }

  call(callback: () => unknown): void {
    guarded(callback, (error) => this.#tell(error, this.#onError ?? warn));
  }

  /** Reports an error of background work. Without `onError` it is dropped. */
  report(error: unknown): void {
    this.#tell(error, this.#onError);
  }

  /** The same, for a call with an error listener of its own. */
  reportTo(listener: (error: unknown) => void, error: unknown): void {
    this.#observer.failed?.(error);
    this.call(() => listener(error));
  }

  #tell(error: unknown, listener: ((error: unknown) => void) | null): void {
    this.#observer.failed?.(error);
    guarded(() => listener?.(error), warn);
  }
}

/** A callback may be an async function, whose rejection nobody else would catch. */
function guarded(callback: () => unknown, onFailure: (error: unknown) => void): void {
  try {
    Promise.resolve(callback()).catch(onFailure);
  } catch (error) {
    onFailure(error);
  }
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : new Error(describe(error)));
}
