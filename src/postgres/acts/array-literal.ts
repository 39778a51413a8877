// Arrays go to the server as the text of an array literal, cast there: a client without fetched types cannot serialize arrays, and one
// that was handed to us may serialize them in a way of its own.
//
// The two statements of every lock, in acquire.ts and release.ts, fill their literals in one loop by hand: a call per array and one per
// item would make their roads 4 and 6 calls and a file longer (`npm run trace`).

type Plain = string | number | bigint | boolean | null;

/** Of uuids, numbers and booleans: values that need no quotes. */
export function plainArray(values: readonly Plain[]): string;
export function plainArray<Item>(items: readonly Item[], read: (item: Item) => Plain): string;
export function plainArray<Item>(items: readonly Item[], read?: (item: Item) => Plain): string {
  let literal = "";
  for (const item of items) {
    literal += `${literal === "" ? "{" : ","}${read === undefined ? item : read(item)}`;
  }
  return literal === "" ? "{}" : `${literal}}`;
}

export function textArray<Item>(items: readonly Item[], read: (item: Item) => string | null): string {
  let literal = "";
  for (const item of items) {
    const text = read(item);
    literal += literal === "" ? "{" : ",";
    literal += text === null ? "null" : `"${text.replace(/["\\]/g, "\\$&")}"`;
  }
  return literal === "" ? "{}" : `${literal}}`;
}
