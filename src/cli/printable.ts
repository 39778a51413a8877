/**
 * Keys and owners are anybody's text. What would move the cursor, ring, recolour or turn the direction of reading is shown as an
 * escape instead, so that a key can neither forge a line nor take the terminal over.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (char) => {
    const code = char.codePointAt(0) ?? 0;
    return short[char] ?? `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** As `printable`, of text that has lines. Leaves JSON what it is. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

const short: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
