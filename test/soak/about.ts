// What a run was run with and on.
import { execFileSync } from "node:child_process";
import { cpus, loadavg, totalmem } from "node:os";
import type { SoakRun } from "./samples.js";

/** Before the run begins. */
export function aboutMachine(): Pick<
  SoakRun["about"],
  "date" | "commit" | "node" | "machine" | "processors" | "loadBefore"
> {
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: commit(),
    node: process.version,
    processors: cpus().length,
    machine: `${cpus().length} processors, ${cpus()[0]?.model ?? "unknown"}, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform}`,
    loadBefore: loadavg()[0] ?? 0,
  };
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "unknown";
  }
}
