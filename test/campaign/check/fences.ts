// P2: fences of a key rise, in the order of the rows and in real time. No limit of a scene takes that away.
import type { History } from "./history.js";
import { grantOf, type Hold, type KeyHistory } from "./keys.js";
import type { Handle } from "./processes.js";
import type { Report } from "./verdict.js";
import { sayHandle, sayHold, sayKey } from "./words.js";

export function checkFences(history: History, report: Report): void {
  for (const key of history.keys.values()) {
    checkRows(history, key, report);
    checkRealTime(history, key, report);
  }
}

function checkRows(history: History, { key, holds }: KeyHistory, report: Report): void {
  let largest: Hold | undefined; // of the transactions before
  let ofThis: Hold | undefined; // rows of one transaction have no order
  for (const hold of holds) {
    if (ofThis && grantOf(ofThis).xid !== grantOf(hold).xid) {
      if (largest === undefined || ofThis.fence > largest.fence) largest = ofThis;
      ofThis = undefined;
    }
    if (largest !== undefined) {
      report.checked("P2", "pairs of fences in the order of rows");
      if (hold.fence <= largest.fence) {
        report.object(
          "P2",
          `${sayKey(key)} was granted to ${sayHold(history, hold)} after a grant with a larger fence, ${sayHold(history, largest)}`,
          [grantOf(largest), grantOf(hold)],
        );
      }
    }
    if (ofThis === undefined || hold.fence > ofThis.fence) ofThis = hold;
  }
}

/** Whoever asked after another had been told of its grant has the larger fence, whichever servers answered. */
function checkRealTime(history: History, { key, handles }: KeyHistory, report: Report): void {
  // an adopted lease keeps its fence
  const grants = handles.filter(({ call }) => call.entry.call !== "adopt");
  const byTold = [...grants].sort((one, other) => one.told - other.told);
  const byCall = [...grants].sort((one, other) => one.call.entry.t - other.call.entry.t);
  let at = 0;
  let largest: Handle | undefined;
  for (const handle of byCall) {
    for (let before = byTold[at]; before && before.told < handle.call.entry.t; before = byTold[at]) {
      if (largest === undefined || before.fence > largest.fence) largest = before;
      at += 1;
    }
    if (largest === undefined) continue;
    if (handle.fence > largest.fence) report.checked("P2", "pairs of fences in real time");
    else if (isOfOldPrimary(history, handle, largest)) report.unsure("P2", "grants of a primary that was replaced");
    else {
      report.object(
        "P2",
        `${sayHandle(handle)} asked for ${sayKey(key)} at ${history.times.say(handle.call.entry.t)}, after ${sayHandle(largest)} was told of its grant at ${history.times.say(largest.told)}, and its fence is not larger`,
        [largest.answer, handle.call.entry, handle.answer],
      );
    }
  }
}

/** A cut-off old primary goes on in its own epoch: its fences are smaller than those of the new one, so that what they fence is refused. */
function isOfOldPrimary(history: History, { fence, told }: Handle, largest: Handle): boolean {
  return history.limits.has("old-primary") && told >= history.failoverAt && fence >> 48n < largest.fence >> 48n;
}
