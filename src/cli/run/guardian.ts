import { spawn } from "node:child_process";

/**
 * A shell that outlives this process. When this process is killed (SIGKILL, out of memory), no handler runs, but the kernel closes our end of
 * the pipe. Then the shell ends the command, which would otherwise go on without a lock.
 */
export interface Guardian {
  /** What to end: a process id, or a negative number for a process group. */
  watch(target: number): void;
  /** Called when there is nothing to end any more. */
  release(): void;
}

// Reads the target, and then a word once the command has ended. If the word does not come, it sends SIGTERM, and SIGKILL after the grace
// period.
const script = `
trap '' HUP INT QUIT TERM
read -r target || exit 0
read -r _ && exit 0
kill -s TERM -- "$target"; kill -s CONT -- "$target"
n=$1
while [ "$n" -gt 0 ] && kill -s 0 -- "$target"; do sleep 1; n=$((n - 1)); done
kill -s KILL -- "$target"`;

/** `graceMs` is rounded up to seconds, the smallest unit of a shell. */
export function startGuardian(graceMs: number): Guardian {
  if (process.platform === "win32") return { watch: () => undefined, release: () => undefined };
  const shell = spawn("/bin/sh", ["-c", script, "leasehold-guardian", String(Math.ceil(graceMs / 1_000))], {
    detached: true, // what a terminal sends to everybody is not for it
    cwd: "/",
    env: { PATH: process.env.PATH }, // nothing secret is needed there
    stdio: ["pipe", "ignore", "ignore"],
  });
  const { stdin } = shell;
  shell.on("error", () => undefined);
  stdin.on("error", () => undefined);
  shell.unref();
  return {
    watch: (target) => void stdin.write(`${target}\n`),
    release: () => void stdin.end("released\n"),
  };
}
