// For what nobody announces: asks until it is so. How long it takes is not asserted.
import { setTimeout as sleep } from "node:timers/promises";

/** The first answer that is neither false, null nor undefined. */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  { timeoutMs = 60_000 }: { readonly timeoutMs?: number } = {},
): Promise<Exclude<T, false | null | undefined>> {
  for (const start = performance.now(); ; await sleep(20)) {
    const answer = await ask();
    if (answer !== false && answer !== null && answer !== undefined) {
      return answer as Exclude<T, false | null | undefined>;
    }
    if (performance.now() - start > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
  }
}
