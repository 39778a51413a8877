import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { createLocker } from "../../src/index.js";
import { randomFrom } from "../support/random.js";
import { serve } from "../support/worker.js";
export type CampaignWorkerArgs = any;
serve<any>((args) => {
  const random = randomFrom(args.seed);
  const locker = createLocker({ url: args.url, ...(args.directUrl ? { directUrl: args.directUrl } : {}), presence: args.presence, takeoverDelayMs: args.presence === "on" ? args.takeoverDelayMs : undefined, requestTimeoutMs: args.requestTimeoutMs, connectTimeoutMs: args.connectTimeoutMs, onError() {} });
  let isOver = false; let id = 0;
  const log = (o: any) => appendFileSync(args.logFile, JSON.stringify({ p: args.name, t: Number(process.hrtime.bigint() / 1000n), ...o }) + "\n");
  const all = [...args.keys.exclusive, ...args.keys.waits];
  const flow = async () => { while (!isOver) { const key = all[Math.floor(random() * all.length)]; const n = ++id; log({ e: "call", id: n, call: "acquire", keys: [key] }); try { const lock = await locker.acquire(key, { ttlMs: 2000, waitMs: 2000 }); log({ e: "settled", id: n, outcome: "done" }); await sleep(random() * 50); await lock.release(); } catch (e: any) { log({ e: "settled", id: n, outcome: "error", code: e.code }); } } };
  const flows = Promise.all(Array.from({ length: args.flows }, flow));
  return { block(ms: number) { const end = Date.now() + ms; while (Date.now() < end); }, async finish() { isOver = true; await flows; await locker.close(); } };
});
