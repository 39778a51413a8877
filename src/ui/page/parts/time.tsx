import type { VNode } from "preact";

/** For people: 3.2 s, 4 m 5 s, 2 h 10 m, 3 d 4 h. */
export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1_000;
  if (seconds < 1) return `${Math.round(seconds * 1_000)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.floor(seconds)} s`;
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [Math.floor(seconds) % 60, "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/** How long ago a moment was, by the server's clock. */
export function Since({ at, now }: { readonly at: number | null; readonly now: number }): VNode {
  if (at === null) return <span class="none">-</span>;
  return (
    <time dateTime={new Date(at).toISOString()} title={new Date(at).toLocaleString()}>
      {duration(now - at)}
    </time>
  );
}

/** What is left until a moment, as a bar that runs down. */
export function Remaining({
  until,
  ttlMs,
  now,
}: {
  readonly until: number | null;
  readonly ttlMs: number | null;
  readonly now: number;
}): VNode {
  if (until === null) return <span class="none">-</span>;
  const leftMs = Math.max(0, until - now);
  const share = ttlMs === null || ttlMs <= 0 ? 1 : Math.min(1, leftMs / ttlMs);
  return (
    <span class="remaining" data-low={share < 0.25 || undefined}>
      <span class="track" aria-hidden="true">
        <span class="fill" style={{ transform: `scaleX(${share.toFixed(3)})` }} />
      </span>
      <span class="left">{leftMs === 0 ? "over" : duration(leftMs)}</span>
    </span>
  );
}
