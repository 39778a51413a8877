import { execFileSync } from "node:child_process";

/** Whether a process runs. One that is dead and that nobody has collected yet does not: some machines are slow with that. */
export function isRunning(pid: number): boolean {
  try {
    return !execFileSync("ps", ["-o", "state=", "-p", String(pid)], { encoding: "utf8" }).startsWith("Z");
  } catch {
    return false; // ps finds none
  }
}
