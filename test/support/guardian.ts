// A shell that waits for this process to be gone, in whatever way, and then cleans up after it. SIGKILL of a test run
// would orphan its servers otherwise: no handler of ours runs then, but the kernel closes our end of the pipe.
import { spawn } from "node:child_process";

export interface Guardian {
  /** The thing that was guarded is cleaned up: the shell ends without doing anything. */
  release(): void;
}

/** Runs `script` in sh, with `args` as $1, $2, ..., as soon as this process has ended without `release()`. */
export function guard(script: string, ...args: string[]): Guardian {
  const shell = spawn("sh", ["-c", `read -r _ && exit 0\n${script}`, "guardian", ...args], {
    detached: true, // Ctrl-C goes to the whole process group, and this one is still needed then
    stdio: ["pipe", "ignore", "ignore"],
  });
  shell.on("error", () => {});
  shell.stdin.on("error", () => {});
  shell.unref();
  // a pipe of a child is a socket, which @types/node does not say
  (shell.stdin as unknown as { unref(): void }).unref();
  return { release: () => void shell.stdin.end("released\n") };
}
