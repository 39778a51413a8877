import { InvalidOptionError } from "../errors/errors.js";

/** Decodes a part of an address. Throws InvalidOptionError, which does not show the part: it could be the password. */
export function decode(text: string, option: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (!decoded.includes("\0")) return decoded;
  } catch {
    // invalid percent-encoding: the same error
  }
  throw new InvalidOptionError({
    option,
    expected: 'an address in which every "%" stands before two hexadecimal digits (a "%" itself is written %25)',
    received: text,
  });
}
