import { parseDuration as durationOf, unitAdvice } from "../config/duration.js";
import { MAX_MS } from "../errors/option-checks.js";
import { quoteArgument } from "./quote-argument.js";
import { UsageError } from "./usage-error.js";

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * `500ms`, `1.5s`, `30s`, `2m`, `1h30m`, `0`: in milliseconds. Throws UsageError, which names the option.
 *
 * A number without a unit is refused: `--ttl 30000`, meant as milliseconds and read as seconds, would keep a key of a holder that hangs for
 * eight hours, and nothing would tell.
 */
export function parseDuration(option: string, text: string): number {
  const ms = durationOf(text);
  if (ms !== null && ms <= MAX_MS) return ms;
  throw new UsageError(
    `${option}: expected a duration such as 500ms, 30s, 2m or 1h30m, got ${quoteArgument(text)}${unitAdvice(text)}`,
  );
}

/** Whether this is meant for a duration, right or wrong. */
export function looksLikeDuration(text: string): boolean {
  return /^(\d+(\.\d+)?(ms|s|m|h|d)?)+$/.test(text);
}

/** A time for people, to the second: `2026-11-20 03:00:30Z`. */
export function formatTime(time: Date): string {
  return time
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, "Z");
}

/** A duration for people, in two units at most: `850ms`, `4.2s`, `1m30s`, `2h5m`, `3d4h`. */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  // From here on it is rounded down: 59.96 s is not yet a minute.
  if (ms < 60_000) return `${(Math.floor(ms / 100) / 10).toFixed(1).replace(/\.0$/, "")}s`;
  const pairs = [
    ["d", "h"],
    ["h", "m"],
    ["m", "s"],
  ] as const;
  const [large, small] = pairs.find(([unit]) => ms >= unitMs[unit]) ?? pairs[2];
  const whole = Math.floor(ms / unitMs[large]);
  const rest = Math.floor((ms % unitMs[large]) / unitMs[small]);
  return `${whole}${large}${rest === 0 ? "" : `${rest}${small}`}`;
}
