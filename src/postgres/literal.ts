import type { Parameter } from "./link.js";

/**
 * A statement with its parameters written into it, for the simple protocol. Behind a transaction pooler a statement cannot be
 * prepared under a name, and unnamed ones cost postgres.js a second round trip.
 */
export function interpolate(text: string, parameters: readonly Parameter[]): string {
  return text.replace(/\$(\d+)/g, (_, place: string) => literal(parameters[Number(place) - 1] ?? null));
}

/** An escape string means the same whatever standard_conforming_strings and backslash_quote say. */
function literal(value: Parameter): string {
  return value === null ? "null" : ` E'${String(value).replace(/['\\]/g, "$&$&")}'`;
}
