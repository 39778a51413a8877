// For commands that start servers and processes of their own, outside vitest.
import { constants } from "node:os";
import { openResources } from "./resources.js";
import { removeBinariesCopy } from "./server-binaries.js";
import { removeTemplate } from "./server-folder.js";

/** Runs it, leaves nothing behind, also after a signal, and ends the process: with 0 when it was true. */
export async function runToEnd(run: () => Promise<boolean>): Promise<never> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => void end(128 + constants.signals[signal]));
  }
  try {
    return await end((await run()) ? 0 : 1);
  } catch (error) {
    console.error(error);
    return await end(1);
  }
}

async function end(status: number): Promise<never> {
  for (const resource of openResources().reverse()) await resource.dispose();
  await removeTemplate();
  await removeBinariesCopy();
  process.exit(status);
}
