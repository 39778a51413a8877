import { spawn } from "node:child_process";

/**
 * A shell that outlives this process when that is killed (SIGKILL, out of memory): no handler runs then, but the kernel closes our
 * end of the pipe. It ends the command, which would go on without a lock otherwise.
 */
export interface Guardian {
  /** What to end: a process, or as a negative number a process group. */
  watch(target: number): void;
  /** There is nothing to end any more. */
  release(): void;
}

// Reads the target, then a word when the command has ended. Without that word it sends SIGTERM, and SIGKILL after the grace period.
const script = `
trap '' HUP INT QUIT TERM
read -r target || exit 0
read -r _ && exit 0
kill -s TERM -- "$target"; kill -s CONT -- "$target"
n=$1
while [ "$n" -gt 0 ] && kill -s 0 -- "$target"; do sleep 1; n=$((n - 1)); done
kill -s KILL -- "$target"`;

/** `graceMs` is rounded up to seconds: a shell knows no less. */
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
