/** From the largest to the smallest: a text has them in this order, each once. `1m1h` is more likely a mistake than intended. */
const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

/** Three decimals of a second are whole milliseconds; of a longer unit, too. */
const decimals = "(?:\\.\\d{1,3})?";

/** The text of a duration, unless it is empty: as an expression that JSON Schema takes, too, so without looking ahead. */
export const DURATION_PATTERN: string = `^(?:0|${units.map(([unit]) => part(unit)).join("")})$`;

const pattern = new RegExp(DURATION_PATTERN, "u");

/** `500ms`, `1.5s`, `30s`, `2m`, `1h30m`, `0`: in milliseconds. Null: it is none. */
export function parseDuration(text: string): number | null {
  const match = pattern.exec(text);
  if (match === null || text === "") return null;
  const ms = units.reduce((sum, [, unitMs], index) => sum + Number(match[index + 1] ?? 0) * unitMs, 0);
  return Math.round(ms); // 16.1 * 1000 is 16100.000000000002
}

/**
 * What to write in place of a number without a unit; empty where that is not what is wrong. Such a number would mean seconds to who knows
 * sleep(1), and milliseconds to who knows this library.
 */
export function unitAdvice(text: string): string {
  return /^\d+(\.\d+)?$/.test(text) && parseDuration(text) === null
    ? `: write ${text}s for seconds, ${text}ms for milliseconds`
    : "";
}

function part(unit: string): string {
  return `(?:(\\d+${unit === "ms" ? "" : decimals})${unit})?`;
}
