import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** A process. Its start time tells it from a later process with the same id. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly started: string;
}

/** These processes and all that they have started, as far as the process table shows that. */
export async function withDescendants(
  roots: readonly ProcessEntry[] | number,
  platform: NodeJS.Platform,
): Promise<readonly ProcessEntry[]> {
  // Small containers have no ps.
  const table = platform === "linux" ? await readProc() : await askPs();
  const found = table.filter(({ pid, started }) =>
    typeof roots === "number" ? pid === roots : roots.some((root) => root.pid === pid && root.started === started),
  );
  // The list grows while the loop goes through it.
  for (const { pid } of found) found.push(...table.filter((entry) => entry.parent === pid && !found.includes(entry)));
  return found;
}

async function readProc(): Promise<readonly ProcessEntry[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const entries = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null); // ended meanwhile
      // proc(5): the name may contain blanks and parentheses. After it come state, ppid, ... and starttime as the 22nd field.
      const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
      return fields === undefined || fields[0] === "Z"
        ? null
        : { pid: Number(pid), parent: Number(fields[1]), started: fields[19] ?? "" };
    }),
  );
  return entries.filter((entry) => entry !== null);
}

async function askPs(): Promise<readonly ProcessEntry[]> {
  const { stdout } = await promisify(execFile)("ps", ["-A", "-o", "pid=,ppid=,state=,lstart="]);
  return stdout.split("\n").flatMap((line) => {
    const [, pid, parent, state, started] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*\S)\s*$/.exec(line) ?? [];
    return pid === undefined || state?.startsWith("Z")
      ? []
      : [{ pid: Number(pid), parent: Number(parent), started: started ?? "" }];
  });
}
