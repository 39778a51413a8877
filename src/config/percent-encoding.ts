import { InvalidOptionError } from "../errors/errors.js";

/** Decodes a part of an address. Throws InvalidOptionError without the part, which could be the password. */
export function decode(text: string, option: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (!decoded.includes("\0")) return decoded;
  } catch {
    // not even percent-encoding: the same answer
  }
  throw new InvalidOptionError({
    option,
    expected: 'an address in which every "%" stands before two hexadecimal digits (a "%" itself is written %25)',
    received: text,
  });
}
