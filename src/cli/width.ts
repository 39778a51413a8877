import stringWidth from "string-width";

/** The width in columns of the terminal. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

const segmenter = new Intl.Segmenter();

/** Cuts the text to this many columns, in its middle: of a long key both ends tell which it is. */
export function cutMiddle(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width < 1) return "";
  const segments = segmentsOf(text);
  const end = take(segments.toReversed(), Math.floor((width - 1) / 2))
    .reverse()
    .join("");
  const start = take(segments, width - 1 - widthOf(end)).join("");
  return `${start}…${end}`;
}

/** Cuts the text to this many columns. An ellipsis shows that something was cut off. No character is cut in half. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  return width < 1 ? "" : `${take(segmentsOf(text), width - 1).join("")}…`;
}

function segmentsOf(text: string): string[] {
  return [...segmenter.segment(text)].map(({ segment }) => segment);
}

/** As many from the beginning as fit. */
function take(segments: readonly string[], width: number): string[] {
  let used = 0;
  const end = segments.findIndex((segment) => {
    used += widthOf(segment);
    return used > width;
  });
  return segments.slice(0, end < 0 ? segments.length : end);
}
