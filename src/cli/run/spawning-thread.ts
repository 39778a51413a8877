// A thread that starts the command and then stands still, so that nobody reaps the command before its exit status was read: see observed-process.ts.
import { spawn } from "node:child_process";
import { parentPort, workerData } from "node:worker_threads";
import type { Order, Report } from "./observed-process.js";

const { program, args, env, isGroup, gate }: Order = workerData;
const report = (message: Report): void => parentPort?.postMessage(message);

try {
  const child = spawn(program, args, { env, stdio: "inherit", detached: isGroup });
  // Node emits this before its event loop, which reaps, goes on.
  child.once("spawn", () => {
    report({ pid: child.pid ?? 0 });
    Atomics.wait(gate, 0, 0);
  });
  child.once("exit", (code, signal) => report({ code, signal }));
  child.once("error", fail);
} catch (error) {
  fail(error as Error); // Node throws most errors, and emits the others
}

function fail({ code, message }: NodeJS.ErrnoException): void {
  report({ failure: code, message });
}
