// P3: what was written under a guard was committed before anybody else was granted the key, and no write is lost.
import type { AccountRow, WriteRow } from "./entries.js";
import type { History } from "./history.js";
import { grantOf, type Hold, type KeyHistory } from "./keys.js";
import type { Report } from "./verdict.js";
import { sayHold, sayKey } from "./words.js";

export function checkWrites(history: History, report: Report): void {
  for (const key of history.keys.values()) {
    for (const write of key.writes) checkGuard(history, key, write, report);
    checkOrderOfFences(key, report);
    if (key.account) checkAccount(history, key, key.account, report);
  }
}

/** A share's guard only keeps away those who want the key alone. */
function checkGuard(history: History, key: KeyHistory, write: WriteRow, report: Report): void {
  const { times } = history;
  if (write.committedAt === null) {
    report.unsure("P3", "writes whose commit has no time");
    return;
  }
  if (!times.isBeforeStep(write.committedAt, write.node)) {
    report.unsure("P3", "commits after a server's clock was set");
    return;
  }
  const fence = BigInt(write.fence);
  const next = nextGrant(key, fence, write);
  const own = key.hold(fence);
  if (own === undefined && key.holds.length > 0) {
    report.object("P3", `${write.worker} wrote ${sayKey(key.key)} with fence ${fence}, which was never granted`, [
      write,
    ]);
    return;
  }
  report.checked("P3", write.isShare ? "guarded commits under shares" : "guarded commits");
  if (next === undefined) return;
  const committedAt = grantOf(next).committedAt ?? Number.POSITIVE_INFINITY;
  if (committedAt > write.committedAt) return;
  report.object(
    "P3",
    `${write.worker} committed a write of ${sayKey(key.key)} with fence ${fence} at ${times.sayWall(write.committedAt, write.node)}, after ${sayHold(history, next)}, whose grant was committed at ${times.sayWall(committedAt, write.node)}`,
    [own && grantOf(own), grantOf(next), write],
  );
}

/** Of those who exclude this writer the first that was committed, on the same server: others have other clocks. */
function nextGrant(key: KeyHistory, fence: bigint, { node, isShare }: WriteRow): Hold | undefined {
  let first: Hold | undefined;
  for (const hold of key.holds) {
    const { node: granted, committedAt } = grantOf(hold);
    if (hold.fence <= fence || granted !== node || committedAt === null || (isShare && hold.kind === "share")) continue;
    if (first === undefined || committedAt < (grantOf(first).committedAt ?? 0)) first = hold;
  }
  return first;
}

/** A write is made of what the one before it left behind, so these tell their order without any clock. */
function checkOrderOfFences(key: KeyHistory, report: Report): void {
  const writes = key.writes.filter(({ isShare }) => !isShare);
  const byValue = new Map<number, WriteRow | undefined>();
  // undefined: it had that value more than once
  if (key.account) byValue.set(key.account.openingBalance, undefined);
  for (const write of writes) byValue.set(write.value, byValue.has(write.value) ? undefined : write);
  for (const write of writes) {
    const before = byValue.get(write.was);
    if (before === undefined) continue;
    report.checked("P3", "writes against the fence of the write before");
    if (BigInt(before.fence) <= BigInt(write.fence)) continue;
    report.object(
      "P3",
      `${write.worker} wrote ${sayKey(key.key)} with fence ${write.fence} onto what ${before.worker} had written with the larger fence ${before.fence}`,
      [before, write],
    );
  }
}

function checkAccount(history: History, key: KeyHistory, account: AccountRow, report: Report): void {
  const writes = key.writes.filter(({ isShare }) => !isShare);
  const sum = writes.reduce((total, { was, value }) => total + value - was, account.openingBalance);
  report.checked("P3", "accounts");
  if (sum !== account.value) {
    report.object("P3", `the account ${sayKey(key.key)} has ${account.value}, and its writes add up to ${sum}`, [
      account,
      ...writes.slice(-3),
    ]);
  }
  checkReads(key, account, writes, report);
  const hasSteps = history.times.firstStepAt !== Number.POSITIVE_INFINITY;
  if (hasSteps || writes.some(({ committedAt }) => committedAt === null)) {
    report.unsure("P3", "accounts whose writes have no certain order");
    return;
  }
  const ordered = [...writes].sort((one, other) => (one.committedAt ?? 0) - (other.committedAt ?? 0));
  let value = account.openingBalance;
  let before: WriteRow | undefined;
  for (const write of ordered) {
    report.checked("P3", "writes against the write before");
    if (write.was !== value) {
      report.object(
        "P3",
        `${write.worker} made ${write.value} of ${write.was} in ${sayKey(key.key)}, where ${value} stood: a write is lost`,
        [before, write],
      );
    }
    value = write.value;
    before = write;
  }
}

/** Whatever the order: a value is made as often as something else is made of it, but for the first and the last. */
function checkReads(key: KeyHistory, account: AccountRow, writes: readonly WriteRow[], report: Report): void {
  const left = new Map<number, number>();
  const count = (value: number, by: number): unknown => left.set(value, (left.get(value) ?? 0) + by);
  count(account.openingBalance, 1);
  count(account.value, -1);
  for (const { was, value } of writes) {
    count(was, -1);
    count(value, 1);
  }
  for (const [value, number] of left) {
    report.checked("P3", "values of accounts");
    if (number >= 0) continue;
    report.object(
      "P3",
      `${sayKey(key.key)} was ${value} once, and ${1 - number} writes were made of that: a write is lost`,
      writes.filter(({ was }) => was === value).slice(0, 5),
    );
  }
}
