/** Writes parameters into a statement, for the simple protocol. Not for secrets: logs show the text. */
export function interpolate(text: string, parameters: readonly (string | number | null)[]): string {
  return text.replace(/\$(\d+)/g, (_, place: string) => literal(parameters[Number(place) - 1] ?? null));
}

/** An escape string does not depend on standard_conforming_strings or backslash_quote. */
function literal(value: string | number | null): string {
  return value === null ? "null" : ` E'${String(value).replace(/['\\]/g, "$&$&")}'`;
}
