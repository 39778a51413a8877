import { MAX_MS } from "../errors/option-checks.js";
import { quoteArgument } from "./quote-argument.js";
import { UsageError } from "./usage-error.js";

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * `500ms`, `1.5s`, `30s`, `2m`, `1h30m`, `0`: in milliseconds. Throws UsageError, which names the option.
 *
 * A number without a unit is refused. It would mean seconds to who knows sleep(1) and `flock -w`, and milliseconds to who knows this library:
 * `--ttl 30000` would keep a key of a holder that hangs for eight hours, and nothing would tell.
 */
export function parseDuration(option: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  const isWhole = text !== "" && parts.map(([part]) => part).join("") === text;
  // From the largest unit to the smallest, each once: `1m1h` is more likely a mistake than intended.
  const units = parts.map(([, , unit]) => unitMs[unit as keyof typeof unitMs]);
  const isOrdered = units.every((unit, index) => index === 0 || unit < (units[index - 1] ?? 0));
  const exact = parts.reduce((sum, [, number], index) => sum + Number(number) * (units[index] ?? 0), 0);
  const ms = Number(exact.toFixed(3)); // 16.1 * 1000 is 16100.000000000002
  if (text === "0") return 0;
  if (isWhole && isOrdered && Number.isInteger(ms) && ms <= MAX_MS) return ms;
  const advice = /^\d+(\.\d+)?$/.test(text) ? `: write ${text}s for seconds, ${text}ms for milliseconds` : "";
  throw new UsageError(
    `${option}: expected a duration such as 500ms, 30s, 2m or 1h30m, got ${quoteArgument(text)}${advice}`,
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
