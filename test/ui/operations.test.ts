// What Prometheus is told of a scene of locks, and that the dashboard, the alert rules and the page of docs/operations/ ask for what is there.
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createInspector } from "../../src/ui.js";
import { openGuard, openSession } from "../fencing/session.js";
import { changeUrl } from "../support/client.js";
import { createDatabase, createEmptyDatabase } from "../support/database.js";
import { findProgram } from "../support/find-program.js";
import { expectLeft } from "../support/leaks.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { blocksOf, readPage } from "../support/pages.js";
import { until } from "../support/until.js";
import { type Family, parseExposition } from "./support/exposition.js";
import {
  alertRules,
  asked,
  dashboard,
  dashboardQueries,
  documentedMetrics,
  folder,
  type Query,
} from "./support/monitoring.js";

const ODD = 'quote " backslash \\ newline \n \\n end\\';
const promtool = await findProgram("promtool");
const scene = await createDatabase();
const empty = await createDatabase();
const counted = await createDatabase();
await countAll();
/** Every metric with every label that it can have. */
const everything = await metricsText(counted.url);

async function metricsText(url: string): Promise<string> {
  await using inspector = createInspector({ url });
  const response = await inspector.handle(new Request("http://localhost/metrics"));
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  return await response.text();
}

/** Another number for each counter, as if a process had written it. */
async function countAll(): Promise<void> {
  const prefix = (name: string | null, first: number) => ({
    prefix: name,
    acquired: first,
    refused: first + 1,
    timed_out: first + 2,
    contended: first + 3,
    taken_over: first + 4,
    wait_ms: 1,
  });
  const prefixes = [prefix("order", 100), prefix(ODD, 200), prefix("", 300), prefix(null, 400)];
  await counted.sql`
    insert into leasehold.counters (id, sequence, started_at, flushed_at,
      acquired, refused, timed_out, cancelled, failed, contended, released, renewed, checked, lost_expired, lost_taken, lost_max_hold,
      lost_forced, taken_over_expired, taken_over_orphaned, swept, errors, wait_ms, waits, hold_ms, holds, prefixes, hot_keys)
    values (gen_random_uuid(), 1, now(), now(),
      11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
      4060, array(select n from generate_series(1, 28) n), 81200, array(select 2 * n from generate_series(1, 28) n),
      ${JSON.stringify(prefixes)}::text::jsonb, '[]')`;
}

type Families = ReadonlyMap<string, Family>;

/** By the values of the labels, joined; of one without labels, its number. */
function valuesOf(families: Families, name: string): number | Record<string, number> {
  const samples = families.get(name)?.samples ?? [];
  const [only] = samples;
  if (only !== undefined && Object.keys(only.labels).length === 0) return only.value;
  return Object.fromEntries(samples.map(({ labels, value }) => [Object.values(labels).join(), value]));
}

test("a scene of locks: what is held, shared, revoked, kept, ended, and waited for", async () => {
  expectLeft(scene, "sessions", "leases", "shares", "waiters");
  const { sql } = scene;
  const options = { ttlMs: 600_000, statsFlushMs: 100 };
  const unheard = { ...options, onLost: () => {} };
  const flushed = (granted: number) =>
    until(`${granted} grants are counted`, async () => {
      const [row] = await sql`select acquired from leasehold.stats`;
      return Number(row?.acquired) === granted;
    });
  // The oldest grant and the oldest wait are of a process that dies: neither counts.
  await using dead = await openLockProcess(scene, { options: { ...options, takeoverDelayMs: 1_000 } });
  await using frozen = await openLockProcess(scene, { options });
  await using one = openLocker(scene, unheard);
  await using two = openLocker(scene, unheard);
  await using three = openLocker(scene, unheard);
  await dead.acquire("job:backup");
  await dead.acquire("job:orphan");
  await frozen.acquire("job:index");
  await frozen.acquire("tenant:import");
  const report = await one.acquire("report:daily");
  await dead.wait(["report:daily"]);
  await until("it waits", async () => (await sql`select from leasehold.waiting`).length === 1);
  await flushed(5);
  await dead.worker.kill();
  await until("the dead one is silent for longer than the frozen one will be", async () => {
    return (await sql`select from leasehold.live_sessions where silent_for > interval '2 s'`).length === 1;
  });
  frozen.worker.stop();

  const locks = [await one.acquire("invoice:1"), await two.acquire("invoice:2"), await one.acquire(`${ODD}:1`)];
  for (const reader of [one, two, three]) locks.push(await reader.acquire("cache:products", { shared: true }));
  locks.push(await two.acquire("gpu:pool", { capacity: 8, weight: 2 }));
  locks.push(await three.acquire("gpu:pool", { capacity: 8, weight: 3 }));
  await one.forceRelease("tenant:import");
  const cooling = await three.acquire("mail:digest", { minHoldMs: 600_000 });
  await cooling.release();
  const ended = [await three.acquire("job:ended", { keepAlive: false })];
  ended.push(await three.acquire("job:taken", { keepAlive: false }));
  await sql`update leasehold.leases set expires_at = clock_timestamp() where key in ('job:ended', 'job:taken')`;
  locks.push(await two.acquire("job:taken"));
  const guarded = await two.acquire("ledger:held");
  await using _guard = await openGuard(scene, guarded);
  await (await three.acquire("ledger:free")).release();
  await using transaction = await openSession(scene);
  await transaction.begin();
  await transaction.run("select from leasehold.leases where key = 'ledger:free' for update");
  await until("the dead one is confirmed", async () => {
    return (await sql`select from leasehold.expired_leases where reason = 'orphaned'`).length === 2;
  });
  locks.push(await two.acquire("job:orphan"));
  expect(await two.tryAcquire("plain-and-free")).toMatchObject({ held: true });
  expect(await three.tryAcquire("plain-and-free")).toBeNull();

  const stop = new AbortController();
  const waits = [
    one.acquire("invoice:2", { signal: stop.signal }),
    two.acquire("invoice:1", { signal: stop.signal }),
    three.acquire("report:daily", { signal: stop.signal }),
  ];
  for (const wait of waits) wait.catch(() => undefined);
  await expect(three.acquire("report:daily", { waitMs: 300 })).rejects.toMatchObject({ code: "wait-timeout" });
  await until("three wait, and the dead one no longer", async () => {
    const rows = await sql`select is_alive from leasehold.waiting order by is_alive`;
    return rows.map((row) => row.is_alive).join() === "false,true,true,true";
  });
  await until("the frozen one is silent", async () => {
    return (await sql`select from leasehold.live_sessions where is_alive and silent_for > interval '2 s'`).length === 1;
  });
  await flushed(21);
  await until("the wait in vain is counted", async () => {
    const [row] = await sql`select timed_out, refused from leasehold.stats`;
    return Number(row?.timed_out) === 1 && Number(row?.refused) === 1;
  });

  const ages = async () => {
    const [row] = await sql`
      select extract(epoch from (select max(clock_timestamp() - acquired_at) from leasehold.active_leases where key = 'job:index'))::float8 as hold,
             extract(epoch from (select max(waiting_for) from leasehold.waiting where key = 'invoice:2'))::float8 as wait,
             extract(epoch from (select max(silent_for) from leasehold.live_sessions where is_alive))::float8 as silent`;
    return row as unknown as Record<"hold" | "wait" | "silent", number>;
  };
  const before = await ages();
  const text = await metricsText(scene.url);
  const after = await ages();
  const families = parseExposition(text);
  const of = (name: string) => valuesOf(families, name);

  expect(of("leasehold_up")).toBe(1);
  expect(of("leasehold_leases")).toEqual({
    held: 14,
    revoked: 1,
    cooling: 1,
    blocked: 1,
    expired: 1,
    orphaned: 1,
  });
  expect(of("leasehold_locks_held")).toEqual({ exclusive: 10, shared: 3, semaphore: 2 });
  expect(of("leasehold_keys_blocked")).toBe(2);
  expect(of("leasehold_waiters")).toBe(3);
  expect(of("leasehold_deadlocks")).toBe(1);
  expect(of("leasehold_sessions")).toEqual({ connected: 4, gone: 1 });
  const aged = [
    ["leasehold_lock_held_longest_seconds", "hold"],
    ["leasehold_wait_longest_seconds", "wait"],
    ["leasehold_session_silent_longest_seconds", "silent"],
  ] as const;
  for (const [name, what] of aged) {
    expect(of(name), name).toBeGreaterThanOrEqual(before[what] - 0.002);
    expect(of(name), name).toBeLessThanOrEqual(after[what] + 0.002);
  }
  expect(of("leasehold_acquires_total")).toEqual({ granted: 21, held: 1, timed_out: 1, cancelled: 0, failed: 0 });
  expect(of("leasehold_takeovers_total")).toEqual({ expired: 1, orphaned: 1 });
  expect(of("leasehold_releases_total")).toBe(2);
  expect(of("leasehold_prefix_acquired_total")).toEqual({
    job: 7,
    tenant: 1,
    report: 1,
    invoice: 2,
    [ODD]: 1,
    cache: 3,
    gpu: 2,
    mail: 1,
    ledger: 2,
    "": 1,
  });
  expect(families.get("leasehold_wait_seconds")?.samples.at(-1)).toMatchObject({ value: 21 });
  expect(families.get("leasehold_hold_seconds")?.samples.at(-1)).toMatchObject({ value: 2 });

  stop.abort();
  await Promise.allSettled(waits);
  for (const lock of [...locks, report]) await lock.release();
});

test("each counter has its own number, and each prefix its own name, whatever is in it", () => {
  const families = parseExposition(everything);
  const of = (name: string) => valuesOf(families, name);
  expect(of("leasehold_acquires_total")).toEqual({ granted: 11, held: 12, timed_out: 13, cancelled: 14, failed: 15 });
  expect(of("leasehold_contended_total")).toBe(16);
  expect(of("leasehold_releases_total")).toBe(17);
  expect(of("leasehold_renewals_total")).toBe(18);
  expect(of("leasehold_checks_total")).toBe(19);
  expect(of("leasehold_losses_total")).toEqual({ expired: 20, taken: 21, max_hold: 22, forced: 23 });
  expect(of("leasehold_takeovers_total")).toEqual({ expired: 24, orphaned: 25 });
  expect(of("leasehold_swept_total")).toBe(26);
  expect(of("leasehold_errors_total")).toBe(27);
  for (const [place, name] of ["acquired", "refused", "timed_out", "contended", "taken_over"].entries()) {
    expect(of(`leasehold_prefix_${name}_total`)).toEqual({
      order: 100 + place,
      [ODD]: 200 + place,
      "": 300 + place,
      ",true": 400 + place,
    });
  }
});

test.each([
  ["leasehold_wait_seconds", 1, 4.06],
  ["leasehold_hold_seconds", 2, 81.2],
])("%s has the buckets of the database, in seconds", (name, factor, sum) => {
  const samples = parseExposition(everything).get(name)?.samples ?? [];
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  const bounds = [...Array.from({ length: 27 }, (_, power) => String(2 ** power / 1_000)), "+Inf"];
  expect(buckets.map(({ labels }) => labels)).toEqual(bounds.map((le) => ({ le })));
  expect(buckets.map(({ value }) => value)).toEqual(bounds.map((_, index) => (factor * (index + 1) * (index + 2)) / 2));
  expect(samples.find((sample) => sample.name === `${name}_sum`)?.value).toBeCloseTo(sum, 3);
});

test("before anything was counted or held every metric is there all the same, and 0", async () => {
  const startMs = performance.now();
  const families = parseExposition(await metricsText(empty.url));
  const tookMs = performance.now() - startMs;
  expect([...families.keys()]).toEqual([...parseExposition(everything).keys()]);
  const { leasehold_up, leasehold_read_seconds, ...rest } = Object.fromEntries(families);
  expect(leasehold_up?.samples[0]?.value).toBe(1);
  expect(leasehold_read_seconds?.samples[0]?.value).toBeGreaterThan(0);
  expect(leasehold_read_seconds?.samples[0]?.value).toBeLessThan(tookMs / 1_000);
  for (const { samples } of Object.values(rest)) {
    for (const { name, value } of samples) expect([name, value]).toEqual([name, 0]);
  }
});

test("a database that cannot be read, or has no schema, is told as such and nothing else", async () => {
  const unmigrated = await createEmptyDatabase();
  for (const url of [changeUrl(scene.url, { database: "nobody_has_made_this" }), unmigrated.url]) {
    const families = parseExposition(await metricsText(url));
    expect([...families.keys()]).toEqual(["leasehold_up"]);
    expect(valuesOf(families, "leasehold_up")).toBe(0);
  }
});

const rules = alertRules();
const queries: readonly Query[] = [
  ...rules.map(({ alert, expr }) => ({ at: `alert ${alert}`, expr })),
  ...dashboardQueries(),
];

test.each(queries.map(({ at, expr }) => [at, expr] as const))("%s asks for what is there: %s", (_, expr) => {
  const families = parseExposition(everything);
  const ofTarget = ["job", "instance"];
  const { selectors, labels } = asked(expr);
  const known = new Set(ofTarget);
  for (const { metric, matchers } of selectors) {
    if (metric === "up") continue; // Prometheus' own
    const family = families.get(metric.replace(/_bucket$/, ""));
    const samples = (family?.samples ?? []).filter((sample) => sample.name === metric);
    expect(samples, metric).not.toEqual([]);
    for (const sample of samples) for (const label of Object.keys(sample.labels)) known.add(label);
    for (const { label, operator, value } of matchers) {
      if (ofTarget.includes(label)) continue;
      const values = samples.map((sample) => sample.labels[label]).filter((found) => found !== undefined);
      expect(["=", "!="], `${label}${operator}`).toContain(operator);
      expect(values, `${metric}: ${label}`).toContain(value);
    }
    if (family?.type !== "gauge") expect(expr).toMatch(new RegExp(`(?:rate|increase)\\(${metric}`));
    if (family?.type === "gauge") expect(expr).not.toMatch(new RegExp(`(?:rate|increase)\\(${metric}`));
  }
  for (const label of labels) expect([...known]).toContain(label);
});

test("the dashboard shows every metric", () => {
  const shown = new Set(
    dashboardQueries().flatMap(({ expr }) => asked(expr).selectors.map(({ metric }) => metric.replace(/_bucket$/, ""))),
  );
  expect([...parseExposition(everything).keys()].filter((name) => !shown.has(name))).toEqual([]);
});

test("the dashboard has no data source of its own, and each panel a unit, legends, a description and a place", () => {
  const { panels, templating, schemaVersion } = dashboard();
  const source = { type: "prometheus", uid: "$" + "{datasource}" };
  expect(schemaVersion).toBeGreaterThanOrEqual(38); // Grafana 10
  expect(templating.list.map(({ name, type }) => [name, type])).toEqual([
    ["datasource", "datasource"],
    ["job", "query"],
    ["instance", "query"],
  ]);
  expect(templating.list[0]?.query).toBe("prometheus");
  for (const { datasource } of templating.list.slice(1)) expect(datasource).toEqual(source);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = new Set<string>();
  for (const { type, title, description, gridPos, datasource, fieldConfig, targets = [] } of panels) {
    const { x, y, w, h } = gridPos;
    expect(x + w, title).toBeLessThanOrEqual(24);
    for (let cell = 0; cell < w * h; cell += 1) cells.add(`${x + (cell % w)},${y + Math.floor(cell / w)}`);
    if (type === "row") continue;
    expect(datasource, title).toEqual(source);
    expect(description, title).toMatch(/^\S.{20,}\.$/);
    expect(["s", "short", "ops", "percentunit"], title).toContain(fieldConfig?.defaults.unit);
    expect(targets, title).not.toEqual([]);
    for (const target of targets) {
      expect(target.datasource, title).toEqual(source);
      expect(target.legendFormat, title).not.toBe("");
      expect(target.expr, title).toContain('{job="$job",instance="$instance"');
    }
  }
  const area = panels.reduce((sum, { gridPos }) => sum + gridPos.w * gridPos.h, 0);
  expect(cells.size, "panels that cover each other").toBe(area);
});

test("an axis says seconds where its metrics do, and a rate where there is one", () => {
  for (const { title, fieldConfig, targets = [] } of dashboard().panels) {
    for (const { expr } of targets) {
      const isRatio = / \/ /.test(expr);
      const isSeconds = /_seconds/.test(expr);
      const unit = isRatio ? "percentunit" : isSeconds ? "s" : /\brate\(/.test(expr) ? "ops" : "short";
      expect(fieldConfig?.defaults.unit, `${title}: ${expr}`).toBe(unit);
    }
  }
});

test("each alert says how bad it is, what to do, and which page says more", () => {
  expect(rules.length).toBeGreaterThan(10);
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  for (const { alert, for: duration, severity, summary, description, runbook_url } of rules) {
    expect(alert).toMatch(/^Leasehold[A-Z]\w+$/);
    expect(duration).toMatch(/^\d+[ms]$/);
    expect(["critical", "warning"]).toContain(severity);
    expect(summary.length, alert).toBeLessThan(100);
    expect(description, alert).toMatch(/^.{80,}\.$/);
    const [, path = "", anchor] = /^https:\/\/\S+\/blob\/HEAD\/(docs\/[^#]+\.md)(?:#(\S+))?$/.exec(runbook_url) ?? [];
    const page = readPage(path).text;
    const slugs = [...page.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
      title
        .toLowerCase()
        .replaceAll(/[^\w\s-]/g, "")
        .replaceAll(" ", "-"),
    );
    if (anchor !== undefined) expect(slugs, runbook_url).toContain(anchor);
  }
});

test("the table of the page has each metric, with its type and labels, and no other", () => {
  const table = documentedMetrics();
  const families = parseExposition(everything);
  expect(table.map(({ name }) => name)).toEqual([...families.keys()]);
  for (const { name, type, labels } of table) {
    const family = families.get(name);
    expect([name, type]).toEqual([name, family?.type]);
    const found = new Map<string, Set<string>>();
    for (const sample of family?.samples ?? []) {
      for (const [label, value] of Object.entries(sample.labels)) {
        if (label !== "le") found.set(label, (found.get(label) ?? new Set()).add(value));
      }
    }
    expect([name, ...found.keys()]).toEqual([name, ...Object.keys(labels)]);
    for (const [label, values] of Object.entries(labels)) {
      if (values.length > 0) expect([...(found.get(label) ?? [])]).toEqual(values);
    }
  }
});

test("the tests of the alerts see each fire, and each not fire", () => {
  const tests = readPage("docs/operations/alerts.test.yml").text;
  for (const { alert } of rules) {
    const expr = `      - expr: ALERTS{alertname="${alert}",alertstate="firing"}\n        eval_time: \\w+\n        exp_samples:`;
    expect(tests).toMatch(new RegExp(`${expr} \\[\\]`));
    expect(tests).toMatch(new RegExp(`${expr}\n`));
  }
});

/** What it has said, when it has found nothing wrong. */
function runPromtool(args: readonly string[], input = ""): string {
  const { status, stdout, stderr } = spawnSync(promtool ?? "", args, { cwd: folder, input, encoding: "utf8" });
  if (status !== 0) throw new Error(`promtool ${args.join(" ")}: ${status}\n${stdout}${stderr}`);
  return `${stdout}${stderr}`;
}

test.skipIf(promtool === undefined)("promtool reads all metrics, and finds nothing to complain about", async () => {
  for (const text of [everything, await metricsText(empty.url)]) {
    expect(runPromtool(["check", "metrics"], text)).toBe("");
  }
});

test.skipIf(promtool === undefined)("promtool: the rules are right, and fire when they should", () => {
  expect(runPromtool(["check", "rules", "alerts.yml"])).toContain(`${rules.length} rules found`);
  expect(runPromtool(["test", "rules", "alerts.test.yml"])).toContain("SUCCESS");
});

test.skipIf(promtool === undefined)(
  "promtool can parse what the dashboard asks and what the page configures",
  async () => {
    const path = await mkdtemp(join(tmpdir(), "leasehold-promtool-"));
    try {
      const recorded = dashboardQueries().map(({ expr }, index) => ({ record: `panel_${index}`, expr }));
      // JSON is YAML
      await writeFile(join(path, "panels.json"), JSON.stringify({ groups: [{ name: "panels", rules: recorded }] }));
      expect(runPromtool(["check", "rules", join(path, "panels.json")])).toContain(`${recorded.length} rules found`);
      const blocks = blocksOf(readPage("docs/operations/README.md")).filter(({ language }) => language === "yaml");
      expect(blocks).toHaveLength(2);
      await writeFile(join(path, "prometheus.yml"), blocks.map(({ text }) => text).join(""));
      runPromtool(["check", "config", "--syntax-only", join(path, "prometheus.yml")]);
    } finally {
      await rm(path, { recursive: true });
    }
  },
);
