/**
 * Anybody can choose the text of keys and owners. Characters that move the cursor, ring the bell, change colours or reverse the reading
 * direction are shown as escapes. So a key can neither fake a line nor take over the terminal.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (char) => {
    const code = char.codePointAt(0) ?? 0;
    return short[char] ?? `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** Like `printable`, for text with line breaks. JSON keeps its meaning. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

const short: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
