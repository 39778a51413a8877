/** A statement with its parameters written into it, for the simple protocol. Not for secrets: logs show the text. */
export function interpolate(text: string, parameters: readonly (string | number | null)[]): string {
  return text.replace(/\$(\d+)/g, (_, place: string) => literal(parameters[Number(place) - 1] ?? null));
}

/** An escape string means the same whatever standard_conforming_strings and backslash_quote say. */
function literal(value: string | number | null): string {
  return value === null ? "null" : ` E'${String(value).replace(/['\\]/g, "$&$&")}'`;
}
