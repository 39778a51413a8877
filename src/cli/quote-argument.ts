import { quote } from "../runtime/describe.js";

/** Addresses, and what may be one with a part missing: `postgres://user:password@host`, `user:password@host`, `password=...`. */
const address = /:\/\/|:[^\s@]*@|password\s*=/i;

/**
 * An argument as an error shows it. What could be an address in the wrong place may contain a password, and errors end up in logs, so that is
 * only named.
 */
export function quoteArgument(text: string): string {
  return address.test(text) ? "an address" : quote(text);
}
