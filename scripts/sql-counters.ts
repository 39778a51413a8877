import { type CounterColumn, counterColumns, prefixCounterColumns } from "../src/store/counter-columns.js";

const lists: readonly (readonly [name: string, columns: readonly CounterColumn[]])[] = [
  ["counter", counterColumns],
  ["prefix_counter", prefixCounterColumns],
];

/**
 * A text of src/sql with one line for each counter of src/store/counts.ts in place of a line that names `:counter`. In these lines
 * `:counter` is the counter's column, and `:counter_text` what it counts. `:prefix_counter` is the same for those of a prefix.
 */
export function withCounters(text: string): string {
  return text.split("\n").flatMap(linesFor).join("\n");
}

function linesFor(line: string): readonly string[] {
  for (const [name, columns] of lists) {
    const variable = new RegExp(`(?<![:\\w]):${name}(_text)?\\b`, "g"); // not the second colon of a cast
    if (line.search(variable) !== -1) {
      return columns.map((counter) =>
        line.replaceAll(variable, (_, isText) => (isText ? literal(counter.text) : counter.column)),
      );
    }
  }
  return [line];
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
