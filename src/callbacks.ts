import { describe } from "./describe.js";

/** Calls what the user handed in. What a callback throws must not reach the protocol: it goes to `onError`, else to a process warning. */
export class Callbacks {
  readonly #onError: ((error: unknown) => void) | null;

  constructor(onError: ((error: unknown) => void) | null) {
    this.#onError = onError;
  }

  call(callback: () => unknown): void {
    guarded(callback, (error) => {
      if (this.#onError === null) {
        warn(error);
      } else {
        this.report(error);
      }
    });
  }

  /** What failed in the background. Without `onError` nobody wants to know. */
  report(error: unknown): void {
    guarded(() => this.#onError?.(error), warn);
  }
}

/** An async function is a callback as well: nobody else would catch its rejection. */
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
