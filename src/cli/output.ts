import { LeaseholdError, UnavailableError } from "../errors/errors.js";
import { printableLines } from "./printable.js";

export function writeOut(text: string): void {
  process.stdout.write(text);
}

/** Writes a line for people about what is on stdout: to stderr, so that it is in nobody's way there. */
export function writeNote(text: string): void {
  process.stderr.write(`${printableLines(text)}\n`);
}

/** Writes one value as indented JSON. */
export function writeJson(value: unknown): void {
  writeOut(`${printableLines(JSON.stringify(value, null, 2))}\n`);
}

/** Writes to stderr, in one piece. No error of this library ever contains a password or a token. */
export function printError(program: string, error: unknown, isJson: boolean): void {
  const text = isJson ? `${JSON.stringify({ error: toJson(error) })}\n` : `${program}: ${explain(error)}\n`;
  process.stderr.write(printableLines(text));
}

/** The names of options in the API, and the names that they have here. */
const words: readonly (readonly [RegExp, string])[] = [
  [/`await locker\.migrate\(\)` once, as a role/, "leasehold migrate once, as a role"],
  [/, or wait in the queue with acquire or withLock/, ", or wait in the queue: leave out --no-wait"],
  [/^url\b/, "--url"],
  [/\bdirectUrl\b/, "--direct-url"],
  [/set presence: "off"/, "use --no-presence"],
  [/\bwaitMs\b/, "--wait"],
  [/\bttlMs\b/, "--ttl"],
  [/\bminHoldMs\b/, "--min-hold"],
  [/\bmaxHoldMs\b/g, "--max-hold"],
  [/\bforceRelease\b/, "release --force"],
];

/** What went wrong and what to do, with the option names of the command line. */
export function explain(error: unknown): string {
  if (!(error instanceof LeaseholdError)) return error instanceof Error ? error.message : String(error);
  const message = words.reduce((text, [theirs, ours]) => text.replace(theirs, ours), error.message);
  const { cause } = error;
  const isVague = error instanceof UnavailableError && cause instanceof Error && !message.includes(cause.message);
  return isVague ? `${message} (${cause.message})` : message;
}

function toJson(error: unknown): object {
  const message = explain(error);
  return error instanceof LeaseholdError ? { ...error.toJSON(), message } : { message };
}
