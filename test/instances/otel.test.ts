// Which instance, in OpenTelemetry's metrics and spans.
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { expect, onTestFinished, test } from "vitest";
import { createLocker, type LockerOptions } from "../../src/index.js";
import { instrumentLeasehold } from "../../src/otel.js";
import { memoryStore } from "../../src/store.js";

async function record(options: LockerOptions, keys: readonly string[]) {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const meterProvider = new MeterProvider({
    readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })],
  });
  const spanExporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spanExporter)] });
  const stop = instrumentLeasehold({ meterProvider, tracerProvider });
  onTestFinished(async () => {
    stop();
    await meterProvider.shutdown();
    await tracerProvider.shutdown();
  });
  const locker = createLocker(options);
  onTestFinished(() => locker.close());
  const instances: (string | null)[] = [];
  for (const key of keys) await locker.withLock(key, (lock) => instances.push(lock.instance));
  const held = await Promise.all(keys.map((key) => locker.acquire(key)));
  await meterProvider.forceFlush();
  await Promise.all(held.map((lock) => lock.release()));
  const metrics = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
  const points = (name: string): [unknown, unknown][] =>
    metrics
      .filter(({ descriptor }) => descriptor.name === name)
      .flatMap(({ dataPoints }) =>
        dataPoints.map(({ attributes, value }): [unknown, unknown] => [attributes["leasehold.instance"], value]),
      );
  return { instances, points, spans: spanExporter.getFinishedSpans() };
}

test("metrics and spans have the attribute leasehold.instance", async () => {
  const keys = Array.from({ length: 12 }, (_, index) => `a:${index}`);
  const stores = { instances: { east: { store: memoryStore() }, west: { store: memoryStore() } } };
  const { instances, points, spans } = await record(stores, keys);
  const count = (name: string) => instances.filter((one) => one === name).length;
  expect(count("east") * count("west")).toBeGreaterThan(0);
  expect(new Map(points("leasehold.lock.acquired"))).toEqual(
    new Map([
      ["east", 2 * count("east")],
      ["west", 2 * count("west")],
    ]),
  );
  expect(new Map(points("leasehold.locks.active"))).toEqual(
    new Map<unknown, unknown>([
      [undefined, 0],
      ["east", count("east")],
      ["west", count("west")],
    ]),
  );
  const durations = [...points("leasehold.lock.hold.duration"), ...points("leasehold.lock.acquire.duration")];
  expect(durations.map(([instance]) => instance).sort()).toEqual(["east", "east", "west", "west"]);
  const named = spans.map(({ name, attributes }) => [name, attributes["leasehold.instance"]]);
  const pairs = instances.flatMap((instance) => [
    ["leasehold.acquire", instance],
    ["leasehold.with_lock", instance],
  ]);
  expect(named.slice(0, pairs.length)).toEqual(pairs);
});

test("without instances there is no such attribute", async () => {
  const { points, spans } = await record({ store: memoryStore() }, ["a"]);
  expect(points("leasehold.lock.acquired")).toEqual([[undefined, 2]]);
  expect(spans.flatMap(({ attributes }) => Object.keys(attributes))).not.toContain("leasehold.instance");
});
