const resolved: Promise<void> = Promise.resolve();

/** Calls it in a microtask. Unlike `queueMicrotask`, which Jest's fake timers replace, nobody can hold up a promise. */
export function soon(callback: () => void): void {
  void resolved.then(callback);
}
