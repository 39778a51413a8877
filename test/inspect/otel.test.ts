// leasehold/otel: what lockers do, as metrics and spans of the real OpenTelemetry SDK.
import { type Attributes, context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AggregationTemporality,
  type DataPoint,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { instrumentLeasehold, type TelemetryOptions } from "../../src/otel.js";
import { VERSION } from "../../src/runtime/version.js";
import { ask } from "../support/ask.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});

afterAll(() => context.disable());

type Point = DataPoint<number | Pick<Histogram, "count" | "sum">>;

interface Telemetry {
  /** What the metric says now: its points. */
  points(name: string): Promise<Point[]>;
  metrics(): Promise<MetricData[]>;
  readonly spans: readonly ReadableSpan[];
  readonly tracerProvider: BasicTracerProvider;
  stop(): void;
}

/** Until the test has ended. */
function observe(options: TelemetryOptions = {}): Telemetry {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const spanExporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spanExporter)] });
  const stop = instrumentLeasehold({ meterProvider, tracerProvider, ...options });
  onTestFinished(async () => {
    stop();
    await meterProvider.shutdown();
    await tracerProvider.shutdown();
  });
  const metrics = async () => {
    exporter.reset();
    await reader.forceFlush();
    return exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics));
  };
  return {
    metrics,
    points: async (name) => (await metrics()).find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? [],
    get spans() {
      return spanExporter.getFinishedSpans();
    },
    tracerProvider,
    stop,
  };
}

function values(points: readonly Point[]): [unknown, unknown][] {
  return points.map(({ attributes, value }) => [
    withoutMode(attributes),
    typeof value === "number" ? value : value.count,
  ]);
}

/** Less the mode of an exclusive lock, which most here are; how it is told has a test of its own. */
function withoutMode({ "leasehold.lock.mode": mode, ...attributes }: Attributes): Attributes {
  return mode === "exclusive" || mode === undefined ? attributes : { ...attributes, "leasehold.lock.mode": mode };
}

/** The sum of a histogram's point. */
function secondsOf(point: Point | undefined): number | undefined {
  return typeof point?.value === "object" ? point.value.sum : undefined;
}

test("acquires are counted and timed, by what became of them", async () => {
  const telemetry = observe();
  await using locker = openLocker(database);
  const broken = openLocker("postgres://127.0.0.1:1/nowhere", { requestTimeoutMs: 50, connectTimeoutMs: 50 });
  const start = performance.now();
  await locker.withLock("a", async () => {
    await locker.tryAcquire("a");
    await locker.acquire("a", { waitMs: 30 }).catch(() => undefined);
    await locker.acquire("a", { signal: AbortSignal.timeout(10) }).catch(() => undefined);
  });
  await broken.acquire("a", { waitMs: 1 }).catch(() => undefined);
  await broken.close();
  const seconds = (performance.now() - start) / 1_000;

  const outcome = "leasehold.acquire.outcome";
  const duration = await telemetry.points("leasehold.lock.acquire.duration");
  expect(values(duration)).toEqual([
    [{ [outcome]: "granted" }, 1],
    [{ [outcome]: "held" }, 1],
    [{ [outcome]: "timed-out" }, 1],
    [{ [outcome]: "cancelled" }, 1],
    [{ [outcome]: "failed", "error.type": "unavailable" }, 1],
  ]);
  expect(secondsOf(duration[2])).toBeGreaterThanOrEqual(0.03);
  expect(secondsOf(duration[2])).toBeLessThan(seconds);
  expect(values(await telemetry.points("leasehold.lock.acquired"))).toEqual([
    [{ "leasehold.lock.contended": false }, 1],
  ]);
});

test("durations are in seconds, and every instrument has a unit and a description", async () => {
  const telemetry = observe();
  await using locker = openLocker(database);
  await locker.withLock("a", () => undefined);
  await locker.sweep();
  const metrics = await telemetry.metrics();
  expect(metrics.map(({ descriptor: { name, unit } }) => [name, unit]).sort()).toEqual([
    ["leasehold.lock.acquire.duration", "s"],
    ["leasehold.lock.acquired", "{lock}"],
    ["leasehold.lock.hold.duration", "s"],
    ["leasehold.locks.active", "{lock}"],
    ["leasehold.sweep.purged", "{row}"],
    ["leasehold.waits.active", "{call}"],
  ]);
  for (const { descriptor } of metrics) expect(descriptor.description).toMatch(/^[A-Z].*\.$/);
});

test("locks that are held, and calls that wait, are counted while they do", async () => {
  const telemetry = observe();
  const active = async () => [
    values(await telemetry.points("leasehold.locks.active")),
    values(await telemetry.points("leasehold.waits.active")),
  ];
  await using locker = openLocker(database);
  expect(await active()).toEqual([[[{}, 0]], [[{}, 0]]]);
  const lock = await locker.acquire("a");
  const brief = await locker.acquire("b", { ttlMs: 4_000, keepAlive: false });
  const waiting = locker.acquire("a");
  expect(await active()).toEqual([[[{}, 2]], [[{}, 1]]]);
  await until("the brief one is lost", () => brief.signal.aborted);
  expect(await active()).toEqual([[[{}, 1]], [[{}, 1]]]);
  await lock.release();
  const next = await waiting;
  expect(await active()).toEqual([[[{}, 1]], [[{}, 0]]]);
  await next.release();
  expect(await active()).toEqual([[[{}, 0]], [[{}, 0]]]);

  // a lock that goes on elsewhere is no longer this one's
  await using elsewhere = openLocker(database);
  const detached = await (await locker.acquire("b")).detach();
  expect(await active()).toEqual([[[{}, 0]], [[{}, 0]]]);
  const adopted = await elsewhere.adopt(detached);
  expect(await active()).toEqual([[[{}, 1]], [[{}, 0]]]);
  await adopted.release();
  expect(await active()).toEqual([[[{}, 0]], [[{}, 0]]]);
});

test("a lock that was held before is not counted, nor is its end", async () => {
  await using locker = openLocker(database);
  const before = await locker.acquire("a");
  const telemetry = observe();
  await before.release();
  expect(values(await telemetry.points("leasehold.locks.active"))).toEqual([[{}, 0]]);
});

test("a hold is timed to its release or its loss, and a loss is counted with its reason", async () => {
  const telemetry = observe();
  await using locker = openLocker(database);
  await locker.withLock("a", () => undefined);
  const brief = await locker.acquire("b", { ttlMs: 1_000, keepAlive: false });
  await until("it is lost", () => brief.signal.aborted);

  const holds = await telemetry.points("leasehold.lock.hold.duration");
  expect(values(holds)).toEqual([
    [{ "leasehold.hold.end": "released" }, 1],
    [{ "leasehold.hold.end": "lost" }, 1],
  ]);
  expect(secondsOf(holds[1])).toBeGreaterThan(0.05);
  expect(secondsOf(holds[1])).toBeLessThan(60);
  expect(values(await telemetry.points("leasehold.lock.lost"))).toEqual([[{ "leasehold.loss.reason": "expired" }, 1]]);
});

test("takeovers and sweeps are counted", async () => {
  const telemetry = observe();
  await using locker = openLocker(database);
  await ask(sql, ["silent"]);
  await sql`update leasehold.leases set expires_at = clock_timestamp() - interval '1 day' where key = 'silent'`;
  await locker.withLock("silent", () => undefined);
  await sql`update leasehold.leases set released_at = clock_timestamp() - interval '1 day' where token is null`;
  const { leasesPurged } = await locker.sweep();

  expect(values(await telemetry.points("leasehold.lock.taken_over"))).toEqual([
    [{ "leasehold.takeover.reason": "expired" }, 1],
  ]);
  expect(leasesPurged).toBeGreaterThan(0);
  const purged = values(await telemetry.points("leasehold.sweep.purged"));
  expect(purged).toContainEqual([{ "leasehold.sweep.table": "leases" }, leasesPurged]);
  expect(purged).toHaveLength(4);
});

test("no key is named unless it may be", async () => {
  const telemetry = observe();
  await using locker = openLocker(database);
  await locker.withLock("secret-customer", () => undefined);
  await locker.withLock("secret-customer", () => Promise.reject(new Error("the body's"))).catch(() => undefined);
  await locker
    .withLock("secret-customer", () => locker.acquire("secret-customer", { waitMs: 1 }))
    .catch(() => undefined);

  const { spans } = telemetry;
  expect(spans.length).toBeGreaterThanOrEqual(6);
  const shown = spans.map(({ name, attributes, events, status }) => ({ name, attributes, events, status }));
  expect(JSON.stringify([await telemetry.metrics(), shown])).not.toContain("secret-customer");
});

test.each<[string, TelemetryOptions["keyNames"], string]>([
  ["those of a list", ["app:daily"], "app:daily"],
  ["those that a regular expression matches, whatever its flags", /^app:d/gy, "app:daily"],
  ["what a function makes of them", (key) => (key.endsWith("daily") ? "report" : null), "report"],
])("keys are named by %s", async (_, keyNames, name) => {
  const telemetry = observe({ keyNames });
  await using locker = openLocker(database, { prefix: "app:" });
  for (const key of ["daily", "other", "daily"]) await locker.withLock(key, () => undefined);

  const named = { "leasehold.lock.key": name };
  for (const metric of ["leasehold.lock.acquired", "leasehold.lock.hold.duration", "leasehold.lock.acquire.duration"]) {
    const counts = values(await telemetry.points(metric)).map(([attributes, count]) => [
      (attributes as Record<string, unknown>)["leasehold.lock.key"],
      count,
    ]);
    expect(counts, metric).toEqual([
      [name, 2],
      [undefined, 1],
    ]);
  }
  await locker.withLock("daily", async () => {
    expect(values(await telemetry.points("leasehold.locks.active"))).toContainEqual([named, 1]);
  });
  expect(values(await telemetry.points("leasehold.locks.active"))).toContainEqual([named, 0]);
  expect(telemetry.spans.filter(({ attributes }) => attributes["leasehold.lock.key"] === name)).toHaveLength(6);
});

test.each<[string, () => unknown]>([
  [
    "throws",
    () => {
      throw new Error("the user's");
    },
  ],
  ["rejects", async () => Promise.reject(new Error("the user's"))],
])("a function for names that %s leaves the key without a name", async (_, keyNames) => {
  const telemetry = observe({ keyNames: keyNames as () => string });
  await using locker = openLocker(database);
  await locker.withLock("a", () => undefined);
  expect(values(await telemetry.points("leasehold.lock.acquired"))).toEqual([
    [{ "leasehold.lock.contended": false }, 1],
  ]);
});

test("a withLock is a span, with the acquire and what the body does inside, beneath the caller's", async () => {
  const telemetry = observe();
  const tracer = telemetry.tracerProvider.getTracer("the application's");
  await using locker = openLocker(database);
  const value = await tracer.startActiveSpan("request", async (request) => {
    const result = await locker.withLock("a", async () => {
      await locker.ping();
      await tracer.startActiveSpan("work", async (work) => work.end());
      return "value";
    });
    await locker.tryWithLock("a", () => undefined);
    request.end();
    return result;
  });
  expect(value).toBe("value");
  expect(trace.getActiveSpan()).toBeUndefined();

  const { spans } = telemetry;
  const names = new Map(spans.map((span) => [span.spanContext().spanId, span.name]));
  const parents = spans.map(({ name, parentSpanContext }) => [name, names.get(parentSpanContext?.spanId ?? "")]);
  expect(parents).toEqual([
    ["leasehold.acquire", "leasehold.with_lock"],
    ["work", "leasehold.with_lock"],
    ["leasehold.with_lock", "request"],
    ["leasehold.acquire", "leasehold.with_lock"],
    ["leasehold.with_lock", "request"],
    ["request", undefined],
  ]);
  const [acquire, , withLock] = spans;
  expect(acquire?.attributes).toEqual({
    "leasehold.acquire.outcome": "granted",
    "leasehold.lock.mode": "exclusive",
  });
  expect(withLock?.attributes).toEqual({ "leasehold.acquire.outcome": "granted" });
  expect(withLock?.status.code).toBe(0);
  expect(withLock?.instrumentationScope).toMatchObject({ name: "leasehold", version: VERSION });
});

test("a lock that is not free is no error; a call that rejects is one, with its type", async () => {
  const telemetry = observe();
  await using locker = openLocker(database);
  const lock = await locker.acquire("a");
  await locker.tryWithLock("a", () => undefined);
  await locker.acquire("a", { waitMs: 1 }).catch(() => undefined);
  await lock.release();
  await locker.withLock("a", () => Promise.reject(new TypeError("the body's"))).catch(() => undefined);

  const shown = telemetry.spans.map(({ name, attributes, status, events }) => [
    name,
    withoutMode(attributes),
    status,
    events.length,
  ]);
  const outcome = "leasehold.acquire.outcome";
  expect(shown).toEqual([
    ["leasehold.acquire", { [outcome]: "granted" }, { code: 0 }, 0],
    ["leasehold.acquire", { [outcome]: "held" }, { code: 0 }, 0],
    ["leasehold.with_lock", { [outcome]: "held" }, { code: 0 }, 0],
    ["leasehold.acquire", { "error.type": "wait-timeout" }, { code: 2 }, 0],
    ["leasehold.acquire", { [outcome]: "granted" }, { code: 0 }, 0],
    ["leasehold.with_lock", { "error.type": "TypeError" }, { code: 2, message: "the body's" }, 1],
  ]);
  expect(telemetry.spans[5]?.events[0]).toMatchObject({
    name: "exception",
    attributes: { "exception.type": "TypeError", "exception.message": "the body's" },
  });
});

test("every metric and span of a lock says how it was asked for; the span of several keys does not", async () => {
  const telemetry = observe();
  await using locker = openLocker(database);
  const held = await locker.acquire("a", { shared: true });
  await locker.withLock("a", () => undefined, { capacity: 2 });
  await locker.tryWithLock("a", () => undefined);
  const mode = "leasehold.lock.mode";
  const modesOf = async (metric: string) => (await telemetry.points(metric)).map(({ attributes }) => attributes[mode]);
  const counts = values(await telemetry.points("leasehold.locks.active"));
  await held.release();

  expect((await modesOf("leasehold.lock.acquire.duration")).sort()).toEqual(["exclusive", "semaphore", "shared"]);
  expect((await modesOf("leasehold.lock.acquired")).sort()).toEqual(["semaphore", "shared"]);
  expect((await modesOf("leasehold.lock.hold.duration")).sort()).toEqual(["semaphore", "shared"]);
  expect(counts.find(([attributes]) => (attributes as Attributes)[mode] === "shared")?.[1]).toBe(1);
  expect(telemetry.spans.map(({ name, attributes }) => [name, attributes[mode]])).toEqual([
    ["leasehold.acquire", "shared"],
    ["leasehold.acquire", "semaphore"],
    ["leasehold.with_lock", undefined],
    ["leasehold.acquire", "exclusive"],
    ["leasehold.with_lock", undefined],
  ]);
});

test("after the end nothing is recorded, and what was open is ended", async () => {
  const telemetry = observe();
  await using locker = openLocker(database);
  await locker.withLock("a", () => {
    telemetry.stop();
    telemetry.stop();
    expect(telemetry.spans.map(({ name }) => name)).toEqual(["leasehold.acquire", "leasehold.with_lock"]);
  });
  await locker.withLock("a", () => undefined);
  expect(telemetry.spans).toHaveLength(2);
  expect(values(await telemetry.points("leasehold.lock.acquired"))).toEqual([
    [{ "leasehold.lock.contended": false }, 1],
  ]);
  expect(await telemetry.points("leasehold.locks.active")).toEqual([]);
});

test("without an SDK it does nothing, and what it cannot take it refuses", async () => {
  const stop = instrumentLeasehold();
  await using locker = openLocker(database);
  expect(await locker.withLock("a", () => "value")).toBe("value");
  stop();
  const refused: [unknown, string][] = [
    [{ keyNames: "a" }, "keyNames"],
    [{ keyNames: [1] }, "keyNames"],
    [{ meterProvider: {} }, "meterProvider"],
    [{ tracerProvider: null }, "tracerProvider"],
    [{ keys: [] }, "keys"],
  ];
  for (const [options, option] of refused) {
    expect(() => instrumentLeasehold(options as TelemetryOptions)).toThrow(
      expect.objectContaining({ code: "invalid-option", option }),
    );
  }
});
