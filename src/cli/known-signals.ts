import { constants } from "node:os";

/** The signals of a platform, with their numbers. */
export type KnownSignals = Readonly<Record<string, number>>;

/** Those of this platform. Windows has no SIGTSTP, SIGCONT, SIGUSR1 and SIGUSR2, and is alone with SIGBREAK: Ctrl-Break. */
export const ownSignals: KnownSignals = constants.signals;

export function knownOf(names: readonly NodeJS.Signals[], known: KnownSignals): readonly NodeJS.Signals[] {
  return names.filter((name) => name in known);
}
