// Memory of other processes, from Linux's /proc.
import { readdirSync, readFileSync } from "node:fs";

export interface ProcessMemory {
  readonly privateMb: number;
  readonly proportionalMb: number;
}

/**
 * Of a process and its children. Private is what Linux calls anonymous: shared buffers are not in it, which fill slowly and are
 * counted anew for each backend that touches them. Null where there is no /proc, or it may not be read.
 */
export function memoryWithChildren(pid: number): ProcessMemory | null {
  const own = read(`/proc/${pid}/smaps_rollup`);
  if (own === null) return null;
  const children = (read(`/proc/${pid}/task/${pid}/children`) ?? "").split(" ").filter(Boolean);
  // one that has ended meanwhile has no memory
  const all = [own, ...children.map((child) => read(`/proc/${child}/smaps_rollup`) ?? "")];
  return { privateMb: sumMb(all, "Anonymous"), proportionalMb: sumMb(all, "Pss") };
}

/** How many files, sockets and pipes this process has open. Null where there is no /proc. */
export function openDescriptors(): number | null {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return null;
  }
}

function sumMb(texts: readonly string[], field: string): number {
  const pattern = new RegExp(`^${field}:\\s+(\\d+) kB`, "m");
  return texts.reduce((sum, text) => sum + Number(pattern.exec(text)?.[1] ?? 0), 0) / 1024;
}

function read(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}
