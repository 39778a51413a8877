import { BOUNDS_MS } from "../../observe/counters/histogram.js";
import type { Totals, Values } from "../reading/reading.js";
import { Exposition, type Sample } from "./exposition.js";
import type { RisingSums } from "./rising-sums.js";

/** What Prometheus reads when the database cannot be read. */
export function metricsOfNothing(): string {
  const text = new Exposition();
  up(text, 0);
  return text.toString();
}

/** All of it is of the database, and so of all processes together: let one process be asked. */
export function metricsOf(totals: Totals, sums: RisingSums): string {
  const text = new Exposition();
  up(text, 1);
  text.gauge("leasehold_read_seconds", "How long it took to read what follows.", [{ value: totals.tookMs / 1_000 }]);
  gauges(text, totals);
  counters(text, totals.counters, sums);
  byPrefix(text, totals.prefixes);
  return text.toString();
}

function up(text: Exposition, value: number): void {
  text.gauge("leasehold_up", "Whether the database could be read: 1, or 0.", [{ value }]);
}

function gauges(text: Exposition, { now, atMs }: Totals): void {
  const ageOf = (at: number | null): readonly Sample[] => [{ value: at === null ? 0 : Math.max(0, atMs - at) / 1_000 }];
  text.gauge(
    "leasehold_leases",
    "Leases and shares that are held or keep their key, or have ended and were not released, by state.",
    counted("state", ["held", "revoked", "cooling", "blocked", "expired", "orphaned"], now.byState),
  );
  text.gauge(
    "leasehold_locks_held",
    "Locks that are held, by mode.",
    counted("mode", ["exclusive", "shared", "semaphore"], now.heldByMode),
  );
  text.gauge("leasehold_keys_blocked", "Keys that an open transaction keeps, whoever holds them.", [
    { value: now.keysBlocked },
  ]);
  text.gauge(
    "leasehold_lock_held_longest_seconds",
    "For how long the oldest lock has been held.",
    ageOf(now.oldestHold),
  );
  text.gauge("leasehold_waiters", "Calls that wait for a key.", [{ value: now.waiters }]);
  text.gauge("leasehold_wait_longest_seconds", "For how long the oldest of them has waited.", ageOf(now.oldestWait));
  text.gauge("leasehold_deadlocks", "Cycles of processes that wait for each other.", [{ value: now.deadlocks }]);
  text.gauge("leasehold_sessions", "Processes that take locks with presence, by whether they are connected.", [
    { labels: { state: "connected" }, value: now.sessionsConnected },
    { labels: { state: "gone" }, value: now.sessionsGone },
  ]);
  text.gauge(
    "leasehold_session_silent_longest_seconds",
    "For how long a connected process has sent no heartbeat.",
    ageOf(now.oldestHeartbeat),
  );
}

function counters(text: Exposition, stats: Values, sums: RisingSums): void {
  const count = (name: string): number => Number(stats[name] ?? 0);
  const one = (name: string): readonly Sample[] => [{ value: count(name) }];
  const by = (label: string, values: Readonly<Record<string, string>>): readonly Sample[] =>
    Object.entries(values).map(([value, name]) => ({ labels: { [label]: value }, value: count(name) }));
  text.counter(
    "leasehold_acquires_total",
    "Calls that acquire, by how they ended.",
    by("outcome", {
      granted: "acquired",
      held: "refused",
      timed_out: "timedOut",
      cancelled: "cancelled",
      failed: "failed",
    }),
  );
  text.counter("leasehold_contended_total", "Of them those that did not find the key free at once.", one("contended"));
  text.counter("leasehold_releases_total", "Locks that were released.", one("released"));
  text.counter("leasehold_renewals_total", "Renewals.", one("renewed"));
  text.counter("leasehold_checks_total", "Checks of a key.", one("checked"));
  text.counter(
    "leasehold_losses_total",
    "Locks that were lost while they were held, by reason.",
    by("reason", { expired: "lostExpired", taken: "lostTaken", max_hold: "lostMaxHold", forced: "lostForced" }),
  );
  text.counter(
    "leasehold_takeovers_total",
    "Locks that were granted although their last holder had not released them, by what had become of that.",
    by("reason", { expired: "takenOverExpired", orphaned: "takenOverOrphaned" }),
  );
  text.counter("leasehold_swept_total", "Rows that sweepers have deleted.", one("swept"));
  text.counter("leasehold_errors_total", "Errors of background work.", one("errors"));
  const histogram = (name: string, help: string, found: unknown, meanMs: unknown): void => {
    // null before anything was counted
    const counts = Array.isArray(found) ? found.map(Number) : [...BOUNDS_MS, Number.POSITIVE_INFINITY].map(() => 0);
    const total = counts.reduce((sum, one) => sum + one, 0);
    const bounds = BOUNDS_MS.map((bound) => bound / 1_000);
    text.histogram(name, help, { counts, bounds, sum: sums.of(name, Number(meanMs ?? 0) / 1_000, total) });
  };
  histogram("leasehold_wait_seconds", "How long granted calls have waited.", stats.waits, stats.waitMeanMs);
  histogram(
    "leasehold_hold_seconds",
    "How long locks were held that were released or lost.",
    stats.holds,
    stats.holdMeanMs,
  );
}

function byPrefix(text: Exposition, prefixes: readonly Values[]): void {
  const metrics: readonly (readonly [name: string, help: string, column: string])[] = [
    [
      "leasehold_prefix_acquired_total",
      "Grants by the prefix of the key. With overflow: all prefixes that are not counted separately.",
      "acquired",
    ],
    ["leasehold_prefix_refused_total", "Calls that did not wait, and found the key held.", "refused"],
    ["leasehold_prefix_timed_out_total", "Calls that waited in vain.", "timedOut"],
    ["leasehold_prefix_contended_total", "Calls that did not find the key free at once.", "contended"],
    ["leasehold_prefix_taken_over_total", "Grants of a key that its last holder had not released.", "takenOver"],
  ];
  for (const [name, help, column] of metrics) {
    const samples = prefixes.map((row) => ({ labels: prefixLabels(row.prefix), value: Number(row[column] ?? 0) }));
    text.counter(name, help, samples);
  }
}

/** Keys without a `:` have the empty prefix, which Prometheus takes for no label: a second label tells them from all the others. */
function prefixLabels(prefix: unknown): Readonly<Record<string, string>> {
  return prefix === null ? { prefix: "", overflow: "true" } : { prefix: String(prefix) };
}

/** One for each value, also for those that were not found. */
function counted(
  label: string,
  values: readonly string[],
  found: Readonly<Record<string, number>> | null,
): readonly Sample[] {
  return values.map((value) => ({ labels: { [label]: value }, value: found?.[value] ?? 0 }));
}
