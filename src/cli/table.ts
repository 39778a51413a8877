import { printable } from "./printable.js";
import { plain, type Style } from "./style.js";
import { cut, cutMiddle, widthOf } from "./width.js";

/** One column of a table. */
export interface TableColumn {
  readonly heading: string;
  readonly isRight?: boolean;
  /** Whether its cells may be cut, in the middle, when the terminal is too narrow. The widest column is cut first. */
  readonly isElastic?: boolean;
}

export interface TableOptions {
  /** Columns of the terminal. `Infinity`: nothing is cut. */
  readonly width: number;
  readonly style?: Style;
}

const GAP = 2;
const LEAST = 6;

/** Lines of printable text, the headings first. None is wider than `width`, as far as cells may be cut. */
export function tableLines(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  { width, style = plain }: TableOptions,
): string[] {
  const cells = rows.map((row) => row.map(printable));
  const widths = shrink(columns, cells, width);
  const line = (texts: readonly string[]): string =>
    columns
      .map(({ isRight }, index) =>
        pad(cutMiddle(texts[index] ?? "", widths[index] ?? 0), widths[index] ?? 0, isRight ?? false),
      )
      .join(" ".repeat(GAP))
      .trimEnd();
  // On a very narrow terminal, headings and columns that may not be cut can still be too wide.
  const [head = "", ...body] = [columns.map(({ heading }) => heading), ...cells].map((texts) =>
    cut(line(texts), width),
  );
  return [style("heading", head), ...body];
}

function shrink(columns: readonly TableColumn[], cells: readonly (readonly string[])[], width: number): number[] {
  const widths = columns.map(({ heading }, index) =>
    Math.max(widthOf(heading), ...cells.map((row) => widthOf(row[index] ?? ""))),
  );
  let excess = widths.reduce((sum, one) => sum + one + GAP, -GAP) - width;
  while (excess > 0) {
    const elastic = columns.flatMap(({ isElastic }, index) =>
      isElastic && (widths[index] ?? 0) > LEAST ? [index] : [],
    );
    const [widest] = elastic.sort((a, b) => (widths[b] ?? 0) - (widths[a] ?? 0));
    if (widest === undefined) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess -= 1;
  }
  return widths;
}

function pad(text: string, width: number, isRight: boolean): string {
  const blanks = " ".repeat(Math.max(0, width - widthOf(text)));
  return isRight ? blanks + text : text + blanks;
}
