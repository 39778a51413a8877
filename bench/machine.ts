// What a run of a benchmark or of the soak was made with and on.
import { execFileSync } from "node:child_process";
import { cpus } from "node:os";

/** When, of which commit and with which Node. */
export function aboutRun(): { readonly date: string; readonly commit: string; readonly node: string } {
  return { date: new Date().toISOString().slice(0, 10), commit: commit(), node: process.version };
}

export function processors(): string {
  return `${cpus().length} processors, ${cpus()[0]?.model ?? "unknown"}`;
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
