import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { exitCodeOf, signalCode } from "../exit-codes.js";
import type { Started, StartOptions } from "./process.js";

/** What the thread is to do. */
export interface Order extends StartOptions {
  /** Becomes 1 when the thread may go on. */
  readonly gate: Int32Array;
}

/** What the thread tells: first that the command runs, or why it could not be started; then how it has ended. */
export type Report = Running | Failed | Ended;

interface Running {
  readonly pid: number;
}
/** Not as an error, which would lose its code on the way. */
interface Failed {
  readonly failure: string | undefined;
  readonly message: string;
}
interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * Like startProcess, but the exit code is right even if a realtime signal ends the process. Resolves to null where that cannot be had: on other
 * systems than Linux, which have neither /proc nor, most of them, realtime signals; under Bun, which reaps in its own way; without a thread.
 *
 * Node has no names for realtime signals, and reports a process that one of them ended as a success: exit code 0. The kernel shows the true
 * status in /proc while the process is a zombie, but Node's event loop reaps it at once. So a thread starts it and stands still, its event loop
 * too, until SIGCHLD has told this one of the end and the status was read. Where it cannot be read, the thread goes on at once, and what Node
 * reports counts.
 */
export async function startObserved(options: StartOptions): Promise<Started | null> {
  if (process.platform !== "linux" || process.versions.bun !== undefined) return null;
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const order: Order = { ...options, gate };
  const thread = new Worker(new URL("./spawning-thread.js", import.meta.url), { workerData: order });
  const first = await nextReport(thread).catch(() => null); // there was no thread
  if (first === null) return null;
  if ("failure" in first) throw Object.assign(new Error(first.message), { code: first.failure });
  const { pid } = first as Running;
  const exited = async (): Promise<number> => {
    const status = await whenEnded(pid);
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
    const { code, signal } = (await nextReport(thread)) as Ended;
    return codeOf(status) ?? exitCodeOf(code, signal);
  };
  return { pid, exited: exited() };
}

async function nextReport(thread: Worker): Promise<Report> {
  const [report] = await once(thread, "message");
  return report;
}

/** Resolves to the status of the process when it has ended and is not reaped; at once to null if nobody can tell. */
function whenEnded(pid: number): Promise<number | null> {
  return new Promise((resolve) => {
    const look = (): void => {
      const status = waitStatus(pid);
      if (status === "running") return;
      process.off("SIGCHLD", look);
      resolve(status);
    };
    process.on("SIGCHLD", look);
    look(); // it may have ended before
  });
}

/** The exit code if a signal ended the process, of which wait(2) has the number in the lowest bits of the status. */
function codeOf(status: number | null): number | null {
  const signal = (status ?? 0) & 0x7f;
  return signal === 0 ? null : signalCode(signal);
}

/** As wait(2) would tell it of a process that has ended and is not reaped; 0 if it became another user's. Null: nobody can tell. */
function waitStatus(pid: number): number | "running" | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // proc(5): the name may contain blanks and parentheses. After it comes the state as the 3rd field; the status is the 52nd.
    const fields = stat
      .slice(stat.lastIndexOf(")") + 2)
      .trimEnd()
      .split(" ");
    return fields[0] === "Z" ? Number(fields[49]) : "running";
  } catch {
    return null;
  }
}
