// Processor time of other processes, from Linux's /proc. Elsewhere it is not measured, and NaN.
import { readdirSync, readFileSync } from "node:fs";

/** Microseconds that these processes and their children, with all their threads, have run so far. What has ended does not count. */
export function processorTimeUs(pids: readonly number[]): number {
  if (process.platform !== "linux") return Number.NaN;
  return pids.flatMap(withChildren).reduce((sum, pid) => sum + ofProcess(pid), 0);
}

function withChildren(pid: number): number[] {
  return [
    pid,
    ...threadsOf(pid).flatMap((thread) =>
      read(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean).map(Number),
    ),
  ];
}

function ofProcess(pid: number): number {
  // In nanoseconds: /proc/PID/stat counts ticks of 10 ms, too coarse for a window of 500 ms.
  const nanoseconds = threadsOf(pid).map((thread) =>
    Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(" ")[0] || 0),
  );
  return nanoseconds.reduce((sum, of) => sum + of, 0) / 1_000;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return []; // it has ended
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
