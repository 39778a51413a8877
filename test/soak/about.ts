// What a run was run with and on.
import { cpus, loadavg, totalmem } from "node:os";
import { aboutRun, processors } from "../../bench/machine.js";
import type { SoakRun } from "./samples.js";

/** Before the run begins. */
export function aboutMachine(): Pick<
  SoakRun["about"],
  "date" | "commit" | "node" | "machine" | "processors" | "loadBefore"
> {
  return {
    ...aboutRun(),
    processors: cpus().length,
    machine: `${processors()}, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform}`,
    loadBefore: loadavg()[0] ?? 0,
  };
}
