import { setTimeout as sleep } from "node:timers/promises";
import { milliseconds } from "../../postgres/connection/exact-times.js";
import type { Database } from "../database.js";

const CLOCK_MS = 500;

/** Reads the server's clock and those of this machine, twice. */
export async function watchClock(
  database: Database,
): Promise<{ aheadMs: number; uncertaintyMs: number; stepMs: number }> {
  const first = await readClock(database);
  await sleep(CLOCK_MS);
  const second = await readClock(database);
  const best = first.uncertaintyMs < second.uncertaintyMs ? first : second;
  const stepMs = second.serverMs - first.serverMs - (second.monotonicMs - first.monotonicMs);
  return { aheadMs: best.serverMs - best.wallMs, uncertaintyMs: first.uncertaintyMs + second.uncertaintyMs, stepMs };
}

async function readClock(
  database: Database,
): Promise<{ serverMs: number; wallMs: number; monotonicMs: number; uncertaintyMs: number }> {
  const sent = { wallMs: Date.now(), monotonicMs: performance.now() };
  const [row] = await database.query(`select ${milliseconds("pg_catalog.clock_timestamp()")} as now`);
  const half = (performance.now() - sent.monotonicMs) / 2;
  return {
    serverMs: Number(row?.now),
    wallMs: sent.wallMs + half,
    monotonicMs: sent.monotonicMs + half,
    uncertaintyMs: half,
  };
}
