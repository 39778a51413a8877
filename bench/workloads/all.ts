import { busy } from "./busy.js";
import { counting } from "./counting.js";
import { cycles } from "./cycles.js";
import { failedTry } from "./failed-try.js";
import { firstLock } from "./first-lock.js";
import { guardedRows } from "./guarded-rows.js";
import { guardedTransactions } from "./guarded-transactions.js";
import { hotKey } from "./hot-key.js";
import { keepAlive } from "./keep-alive.js";
import { manyRows } from "./many-rows.js";
import { memory } from "./memory.js";
import { memoryStore } from "./memory-store.js";
import { newKeys } from "./new-keys.js";
import { queue } from "./queue.js";
import { routing } from "./routing.js";
import { sets } from "./sets.js";
import { shares } from "./shares.js";
import { takeover } from "./takeover.js";
import { uncontended } from "./uncontended.js";
import type { Workload } from "./workload.js";

/** In the order in which they run. */
export const workloads: readonly Workload[] = [
  uncontended,
  newKeys,
  busy,
  hotKey,
  queue,
  failedTry,
  takeover,
  keepAlive,
  manyRows,
  cycles,
  memory,
  guardedTransactions,
  guardedRows,
  sets,
  firstLock,
  counting,
  routing,
  memoryStore,
  shares,
];
