// For commands that start servers and processes of their own, outside vitest.
import { constants } from "node:os";
import { openResources } from "./resources.js";
import { removeBinariesCopy } from "./server-binaries.js";
import { removeTemplate } from "./server-folder.js";

/**
 * Runs it, leaves nothing behind, also after a signal, and ends the process: with 0 when it was true. `interrupted` is aborted by a signal:
 * what fails from then on fails because its servers are being ended, and is no result.
 */
export async function runToEnd(run: (interrupted: AbortSignal) => Promise<boolean>): Promise<never> {
  const interruption = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      interruption.abort();
      console.log("\ninterrupted: everything is being ended");
      void end(128 + constants.signals[signal]);
    });
  }
  try {
    const isGood = await run(interruption.signal);
    if (!interruption.signal.aborted) return await end(isGood ? 0 : 1);
  } catch (error) {
    if (!interruption.signal.aborted) {
      console.error(error);
      return await end(1);
    }
  }
  return await new Promise<never>(() => {}); // the signal has it ended
}

async function end(status: number): Promise<never> {
  for (const resource of openResources().reverse()) await resource.dispose();
  await removeTemplate();
  await removeBinariesCopy();
  process.exit(status);
}
