// Two lockers over the store of this folder: forty jobs, one at a time.
//
//   npx tsx examples/store/main.ts
import { setTimeout as sleep } from "node:timers/promises";
import { createLocker } from "leasehold";
import { LockProcess } from "./process-store.js";

const locks = new LockProcess();
const lockers = ["first", "second"].map((owner) => createLocker({ store: locks.store, owner }));
let inside = 0;
let most = 0;

async function job(): Promise<void> {
  inside += 1;
  most = Math.max(most, inside);
  await sleep(2);
  inside -= 1;
}

const jobs = lockers.flatMap((locker) => Array.from({ length: 20 }, () => locker.withLock("report", job)));
await Promise.all(jobs);
console.log(most === 1 ? "ok: 40 jobs, one at a time" : `FAILED: ${most} at a time`);
process.exitCode = most === 1 ? 0 : 1;

await Promise.all(lockers.map((locker) => locker.close()));
await locks.stop();
