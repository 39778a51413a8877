import { type Section, sections, statColumns } from "../protocol.js";
import type { Reading } from "../reading/reading.js";
import { Exposition, type Sample } from "./exposition.js";

type Values = Readonly<Record<string, unknown>>;

/** What Prometheus reads when the database cannot be read. */
export function metricsOfNothing(): string {
  const text = new Exposition();
  up(text, 0);
  return text.toString();
}

/** A reading with its counters, for Prometheus. All of it is of the database, and so of all processes together: let one process be asked. */
export function metricsOf(reading: Reading): string {
  const text = new Exposition();
  up(text, 1);
  text.gauge("leasehold_read_seconds", "How long it took to read what follows.", [{ value: reading.tookMs / 1_000 }]);
  gauges(text, reading);
  if (reading.stats !== null) {
    counters(text, named(statColumns, reading.stats));
  }
  byPrefix(text, rowsOf(reading, "prefixes"));
  return text.toString();
}

function up(text: Exposition, value: number): void {
  text.gauge("leasehold_up", "Whether the database could be read: 1, or 0.", [{ value }]);
}

function gauges(text: Exposition, reading: Reading): void {
  const leases = rowsOf(reading, "leases");
  const waits = rowsOf(reading, "waits");
  const sessions = rowsOf(reading, "sessions");
  const held = leases.filter(({ state }) => state === "held" || state === "revoked");
  text.gauge(
    "leasehold_leases",
    "Leases and shares that are held or keep their key, or have ended and were not released, by state.",
    countBy(leases, "state", ["held", "revoked", "cooling", "blocked", "expired", "orphaned"]),
  );
  text.gauge(
    "leasehold_locks_held",
    "Locks that are held, by mode.",
    countBy(held, "mode", ["exclusive", "shared", "semaphore"]),
  );
  text.gauge("leasehold_keys_blocked", "Keys that an open transaction keeps, whoever holds them.", [
    {
      value: new Set(
        leases
          .filter(({ blockingPid, blockingTransaction }) => blockingPid !== null || blockingTransaction !== null)
          .map(({ key }) => key),
      ).size,
    },
  ]);
  text.gauge("leasehold_lock_held_longest_seconds", "For how long the oldest lock has been held.", [
    { value: age(held, "acquiredAt", reading.atMs) },
  ]);
  text.gauge("leasehold_waiters", "Calls that wait for a key.", [{ value: waits.filter(isAlive).length }]);
  text.gauge("leasehold_wait_longest_seconds", "For how long the oldest of them has waited.", [
    { value: age(waits.filter(isAlive), "since", reading.atMs) },
  ]);
  text.gauge("leasehold_deadlocks", "Circles of processes that wait for each other.", [
    { value: reading.sections.deadlocks?.size ?? 0 },
  ]);
  const alive = sessions.filter(isAlive).length;
  text.gauge("leasehold_sessions", "Processes that take locks with presence, by whether they are connected.", [
    { labels: { state: "connected" }, value: alive },
    { labels: { state: "gone" }, value: sessions.length - alive },
  ]);
  text.gauge("leasehold_session_silent_longest_seconds", "For how long a connected process has sent no heartbeat.", [
    { value: age(sessions.filter(isAlive), "seenAt", reading.atMs) },
  ]);
}

function counters(text: Exposition, stats: Values): void {
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
  histogram(text, "leasehold_wait_seconds", "How long granted calls have waited.", stats.waits, stats.waitMeanMs);
  histogram(
    text,
    "leasehold_hold_seconds",
    "How long locks were held that were released or lost.",
    stats.holds,
    stats.holdMeanMs,
  );
}

function byPrefix(text: Exposition, prefixes: readonly Values[]): void {
  const metrics: readonly (readonly [name: string, help: string, column: string])[] = [
    ["leasehold_prefix_acquired_total", "Grants by the prefix of the key. Empty: all others.", "acquired"],
    ["leasehold_prefix_refused_total", "Calls that did not wait, and found the key held.", "refused"],
    ["leasehold_prefix_timed_out_total", "Calls that waited in vain.", "timedOut"],
    ["leasehold_prefix_contended_total", "Calls that did not find the key free at once.", "contended"],
    ["leasehold_prefix_taken_over_total", "Grants of a key that its last holder had not released.", "takenOver"],
  ];
  for (const [name, help, column] of metrics) {
    const samples = prefixes.map((row) => ({
      labels: { prefix: String(row.prefix ?? "") },
      value: Number(row[column] ?? 0),
    }));
    text.counter(name, help, samples);
  }
}

/** In the database: up to 1, 2, 4, ... 2^26 milliseconds, and longer. */
function histogram(text: Exposition, name: string, help: string, found: unknown, meanMs: unknown): void {
  const counts = (Array.isArray(found) ? found : []).map(Number);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const bounds = counts.slice(1).map((_, index) => 2 ** index / 1_000);
  text.histogram(name, help, { counts, bounds, sum: (Number(meanMs ?? 0) * total) / 1_000 });
}

function countBy(rows: readonly Values[], label: string, values: readonly string[]): readonly Sample[] {
  return values.map((value) => ({
    labels: { [label]: value },
    value: rows.filter((row) => row[label] === value).length,
  }));
}

function isAlive(row: Values): boolean {
  return row.isAlive === true;
}

function age(rows: readonly Values[], column: string, atMs: number): number {
  const since = rows.flatMap((row) => (typeof row[column] === "number" ? [Number(row[column])] : []));
  return since.length === 0 ? 0 : Math.max(0, atMs - since.reduce((a, b) => Math.min(a, b))) / 1_000;
}

function rowsOf(reading: Reading, section: Section): readonly Values[] {
  return [...(reading.sections[section] ?? new Map<string, string>()).values()].map((row) =>
    named(sections[section], row),
  );
}

function named(columns: readonly string[], row: string): Values {
  const values = JSON.parse(row) as unknown[];
  return Object.fromEntries(columns.map((name, index) => [name, values[index]]));
}
