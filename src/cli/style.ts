import { styleText } from "node:util";

/** What a piece of text means. A style decides how that looks. */
export type Meaning = "heading" | "good" | "warning" | "bad" | "faint";

export type Style = (meaning: Meaning, text: string) => string;

export const plain: Style = (_, text) => text;

const looks = { heading: "bold", good: "green", warning: "yellow", bad: "red", faint: "dim" } as const;

const coloured: Style = (meaning, text) => styleText(looks[meaning], text);

/** Colours on a terminal that has them, unless NO_COLOR or TERM=dumb says otherwise (Node asks both). */
export function styleFor(stream: NodeJS.WriteStream): Style {
  return stream.isTTY && stream.hasColors() ? coloured : plain;
}

/** How many columns a line has. Output that is no terminal has no limit. */
export function widthFor(stream: NodeJS.WriteStream): number {
  return stream.isTTY ? stream.columns || 80 : Number.POSITIVE_INFINITY;
}
