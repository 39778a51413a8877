import { spawn } from "node:child_process";
import { exitCodeOf } from "../exit-codes.js";

export interface StartOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Whether it gets a session and a process group of its own. */
  readonly isGroup: boolean;
}

/** A process that runs, with our input and output. */
export interface Started {
  readonly pid: number;
  /** The exit code; what a shell would report if a signal ended it. */
  readonly exited: Promise<number>;
}

/** Starts a process. Rejects with the error of the system when it could not be started. */
export async function startProcess({ program, args, env, isGroup }: StartOptions): Promise<Started> {
  const child = spawn(program, args, { env, stdio: "inherit", detached: isGroup });
  const exited = new Promise<number>((resolve) => {
    child.once("exit", (code, signal) => resolve(exitCodeOf(code, signal)));
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
  return { pid: child.pid ?? 0, exited };
}
