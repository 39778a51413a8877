/** Writes parameters into a statement, for the simple protocol. Not for secrets: logs show the text. */
export function interpolate(text: string, parameters: readonly (string | number | null)[]): string {
  return text.replace(/\$(\d+)/g, (_, place: string) => literal(parameters[Number(place) - 1] ?? null));
}

/**
 * An escape string does not depend on standard_conforming_strings or backslash_quote. It contains none of the characters
 * that a library takes for a parameter of its own: Knex replaces every `?` in a text, even in a literal.
 */
function literal(value: string | number | null): string {
  if (value === null) return "null";
  const escaped = String(value).replace(/['\\?:$@]/g, (special) => `\\x${special.charCodeAt(0).toString(16)}`);
  return ` E'${escaped}'`;
}
