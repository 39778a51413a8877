// Arrays go to the server as the text of an array literal, cast there: a client without fetched types cannot serialize
// arrays, and one that was handed to us may serialize them in a way of its own.

/** For uuids, numbers and booleans: values that need no quotes. */
export function plainArray(values: readonly (string | number | bigint | boolean | null)[]): string {
  return `{${values.map((value) => (value === null ? "null" : String(value))).join(",")}}`;
}

export function textArray(values: readonly (string | null)[]): string {
  return `{${values.map((value) => (value === null ? "null" : `"${value.replace(/["\\]/g, "\\$&")}"`)).join(",")}}`;
}
