// All that a worker of Node does.
import type { Act } from "../worker/flow.js";
import { forceAct, sweepAct } from "./administer.js";
import { advisoryAct } from "./advisory.js";
import { checkFenceAct } from "./check-fence.js";
import { handOverAct } from "./hand-over.js";
import { expireAct, overstayAct, tryAct, waitAct } from "./hold.js";
import { leadAct } from "./lead.js";
import { askAct, checkAct } from "./look.js";
import { reopenAct, unsafeAct } from "./reopen.js";
import { setAct, transferAct } from "./set.js";
import { mixedAct, readAct, semaphoreAct } from "./share.js";
import { sqlAct } from "./sql.js";
import { staleAct } from "./stale.js";
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
  setAct,
  transferAct,
  leadAct,
  writeAct,
  writeLateAct,
  writeSharedAct,
  sqlAct,
  staleAct,
  handOverAct,
  checkFenceAct,
  advisoryAct,
  checkAct,
  askAct,
  forceAct,
  sweepAct,
  unsafeAct,
  reopenAct,
];
