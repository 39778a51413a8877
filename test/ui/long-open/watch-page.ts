// A page that stays open while a thousand keys change hands every second: what it needs, measured after the garbage is collected.
import { setTimeout as sleep } from "node:timers/promises";
import type { Page } from "playwright-core";
import type { Locker } from "../../../src/index.js";

export const KEYS = 1_000;

export interface Sample {
  readonly atS: number;
  /** Of the page's scripts. */
  readonly heapBytes: number;
  readonly nodes: number;
  readonly listeners: number;
  /** Keys that the page has, in the document or not. */
  readonly keys: number;
}

export interface WatchOptions {
  readonly seconds: number;
  readonly everySeconds: number;
  onSample?(sample: Sample): void;
}

/** Takes and releases the keys of a round, each a second long, and samples the page meanwhile. */
export async function watchPage(page: Page, locker: Locker, options: WatchOptions): Promise<readonly Sample[]> {
  const { seconds, everySeconds, onSample } = options;
  const stop = new AbortController();
  const changing = change(locker, stop.signal);
  const samples: Sample[] = [];
  const startMs = performance.now();
  try {
    const session = await page.context().newCDPSession(page);
    await session.send("Performance.enable");
    for (let next = everySeconds; next <= seconds; next += everySeconds) {
      await Promise.race([sleep(Math.max(0, next * 1_000 - (performance.now() - startMs))), changing]);
      for (let turn = 0; turn < 3; turn += 1) await session.send("HeapProfiler.collectGarbage");
      const { metrics } = await session.send("Performance.getMetrics");
      const metricOf = (name: string): number => metrics.find((metric) => metric.name === name)?.value ?? Number.NaN;
      const sample = {
        atS: Math.round((performance.now() - startMs) / 1_000),
        heapBytes: metricOf("JSHeapUsedSize"),
        nodes: metricOf("Nodes"),
        listeners: metricOf("JSEventListeners"),
        keys: Number.parseInt(await page.locator(".total").innerText(), 10),
      };
      samples.push(sample);
      onSample?.(sample);
    }
  } finally {
    stop.abort();
    await changing;
  }
  return samples;
}

async function change(locker: Locker, signal: AbortSignal): Promise<void> {
  const keys = Array.from({ length: KEYS }, (_, n) => `tenant:${n % 10}/item:${n}`);
  while (!signal.aborted) {
    const locks = await Promise.all(keys.map((key) => locker.acquire(key, { metadata: { round: Math.random() } })));
    await sleep(700, undefined, { signal }).catch(() => undefined);
    await Promise.all(locks.map((lock) => lock.release()));
  }
}

/** The most of each that several samples have: between two rounds a page has next to no rows. */
export function most(samples: readonly Sample[]): Pick<Sample, "heapBytes" | "nodes" | "listeners"> {
  const of = (name: "heapBytes" | "nodes" | "listeners"): number => Math.max(...samples.map((sample) => sample[name]));
  return { heapBytes: of("heapBytes"), nodes: of("nodes"), listeners: of("listeners") };
}
