import { closeSync, constants, openSync } from "node:fs";

/**
 * Whether this process belongs to a terminal, whatever its input and output are. A command in a session of its own could not open
 * /dev/tty, where ssh and sudo ask for passwords and where `less` reads its keys.
 */
export function hasTerminal(): boolean {
  if (process.platform === "win32") return false;
  try {
    closeSync(openSync("/dev/tty", constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK));
    return true;
  } catch {
    return false;
  }
}
