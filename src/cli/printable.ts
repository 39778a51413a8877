import stringWidth from "string-width";

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

const short: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** In columns of the terminal. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

const segmenter = new Intl.Segmenter();

/** Cut to so many columns, with an ellipsis where something is missing; no character is cut in half. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = "";
  let used = 0;
  for (const { segment } of segmenter.segment(text)) {
    used += widthOf(segment);
    if (used > width - 1) break;
    kept += segment;
  }
  return width < 1 ? "" : `${kept}…`;
}
