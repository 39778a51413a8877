/** What follows from it comes in a microtask. Unlike `queueMicrotask`, which Jest's fake timers replace, nobody can hold up a promise. */
export const resolved: Promise<void> = Promise.resolve();

/** Calls it in a microtask. */
export function soon(callback: () => void): void {
  void resolved.then(callback);
}
