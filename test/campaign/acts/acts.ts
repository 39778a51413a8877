// All that a worker of Node does.
import type { Act } from "../worker/flow.js";
import { expireAct, overstayAct, tryAct, waitAct } from "./hold.js";
import { mixedAct, readAct, semaphoreAct } from "./share.js";
import { withLockAct } from "./with-lock.js";
import { writeAct, writeLateAct, writeSharedAct } from "./write.js";

export const acts: readonly Act[] = [
  tryAct,
  waitAct,
  withLockAct,
  expireAct,
  overstayAct,
  readAct,
  semaphoreAct,
  mixedAct,
  writeAct,
  writeLateAct,
  writeSharedAct,
];
