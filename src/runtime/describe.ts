const LONGEST = 60;

/**
 * A value as an error message shows it: `-5 (number)`, `"abc" (string)`, `an array`. Never calls the value's own code, and
 * never shows what is inside of an object: there could be a password in it.
 */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  switch (typeof value) {
    case "string":
      // A password in the wrong place is still one.
      return /:\/\/\S*@/.test(value) ? "an address" : `${quote(value)} (string)`;
    case "number":
      return `${Object.is(value, -0) ? "-0" : value} (number)`;
    case "bigint":
      return `${value}n (bigint)`;
    case "boolean":
      return `${value} (boolean)`;
    case "object":
      return Array.isArray(value) ? "an array" : "an object";
    default:
      return `a ${typeof value}`;
  }
}

/** As `describe`, for what may hold a secret: the type alone. */
export function describeType(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "object") return Array.isArray(value) ? "an array" : "an object";
  return value === "" ? "an empty string" : `a ${typeof value}`;
}

/** In double quotes, on one line, of bounded length. */
export function quote(text: string): string {
  return JSON.stringify(text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);
}
