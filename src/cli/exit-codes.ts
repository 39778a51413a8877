/** The exit codes of every command but `run`. */
export const SUCCESS = 0;
/** It failed; for `doctor`: there is a problem. */
export const FAILURE = 1;
/** The command line itself is wrong. */
export const USAGE = 2;

/**
 * How `run` ends where the command's own status says nothing. A command has its reasons for nearly every number: 1 and 2, 64 to 78
 * (sysexits.h), 124 to 127 (timeout, env, shells), 128 + n (signals, up to 192), 200 to 245 (systemd), 255 (ssh). These are free.
 */
export const runCodes = {
  notAcquired: 193,
  lost: 194,
  noConnection: 195,
  usage: 196,
} as const;

/** As shells, env and timeout have them: the command was found but could not be started, or was not found. */
export const CANNOT_START = 126;
export const NOT_FOUND = 127;

/** The status of a program that a signal ended, as shells report it. */
export function signalCode(signalNumber: number): number {
  return 128 + signalNumber;
}
