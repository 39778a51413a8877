import { constants } from "node:os";

/** The exit codes of every command but `run`. */
export const SUCCESS = 0;
/** The command failed, or `doctor` found a problem. */
export const FAILURE = 1;
/** The command line itself is wrong. */
export const USAGE = 2;

/**
 * The exit codes of `run` itself, as opposed to those of its command. Nearly all numbers have a meaning: 1 and 2, 64 to 78 (sysexits.h), 124
 * to 127 (timeout, env, shells), 128 + n (signals, up to 192), 200 to 245 (systemd), 255 (ssh). These are free.
 */
export const runCodes = {
  notAcquired: 193,
  lost: 194,
  noConnection: 195,
  usage: 196,
} as const;

/** The same as those of shells, env and timeout: the command was found but could not be started, or it was not found. */
export const CANNOT_START = 126;
export const NOT_FOUND = 127;

/** The exit code of a process, as Node reports how it ended. */
export function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? signalCode(constants.signals[signal ?? "SIGKILL"]);
}

/** The exit code of a program that was ended by a signal, as shells report it. */
export function signalCode(signalNumber: number): number {
  return 128 + signalNumber;
}
