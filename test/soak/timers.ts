// How many timers this process has. Those of the library are unreferenced, and show in none of Node's lists: so each is noted when it
// is made. Must be loaded before what it counts. watch.ts does the same with stacks, which would fill the heap that is measured here.
import { syncBuiltinESMExports } from "node:module";
import timers from "node:timers";

const pending = new Set<NodeJS.Timeout>();

for (const name of ["setTimeout", "setInterval"] as const) {
  const original = timers[name];
  const counted = (...args: unknown[]): NodeJS.Timeout => {
    const timer: NodeJS.Timeout = Reflect.apply(original, globalThis, args);
    pending.add(timer);
    return timer;
  };
  // with what hangs on it: util.promisify finds its own form there
  const replacement = Object.defineProperties(counted, Object.getOwnPropertyDescriptors(original)) as typeof original;
  Object.assign(timers, { [name]: replacement });
  Object.assign(globalThis, { [name]: replacement });
}
syncBuiltinESMExports();

/** Those that have neither fired nor been cleared, by the property with which Node itself marks these. */
export function countTimers(): number {
  for (const timer of pending) {
    if ((timer as unknown as { _destroyed: boolean })._destroyed) pending.delete(timer);
  }
  return pending.size;
}
