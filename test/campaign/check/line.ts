// P7: waiters are served in the order in which they queued. Nobody is granted a key ahead of a waiter who was certainly alive,
// and nobody stands first at a free key for long.
import type { LineRow } from "./entries.js";
import type { History } from "./history.js";
import { decidedAt, grantOf, type Hold, type KeyHistory } from "./keys.js";
import { lifeOf } from "./sessions.js";
import type { Report } from "./verdict.js";
import { sayHold, sayKey } from "./words.js";

/** An extension of an entry that was committed so late before a grant may not have been seen by it. */
const UNSEEN = 1_000_000;

/** One stay of a waiter in the queue. */
export interface Stay {
  readonly token: string;
  readonly ticket: bigint;
  readonly versions: LineRow[];
  left: LineRow | undefined;
}

export function staysOf({ line }: KeyHistory): readonly Stay[] {
  const stays: Stay[] = [];
  const current = new Map<string, Stay>();
  for (const row of line) {
    const stay = current.get(row.token);
    if (row.op === "D") {
      if (stay) stay.left = row;
      current.delete(row.token);
    } else if (stay === undefined || stay.ticket !== BigInt(row.ticket)) {
      const next: Stay = { token: row.token, ticket: BigInt(row.ticket), versions: [row], left: undefined };
      stays.push(next);
      current.set(row.token, next);
    } else stay.versions.push(row);
  }
  return stays;
}

export function checkLine(history: History, report: Report): void {
  for (const key of history.keys.values()) {
    const stays = staysOf(key);
    if (stays.length === 0) continue;
    let present: Stay[] = [];
    let at = 0;
    for (const hold of key.holds) {
      const moment = decidedAt(hold);
      for (let stay = stays[at]; stay && (stay.versions[0] as LineRow).at <= moment; stay = stays[at]) {
        present.push(stay);
        at += 1;
      }
      present = present.filter(({ left }) => left === undefined || left.at > moment || left.xid === grantOf(hold).xid);
      checkTurn(history, key, hold, present, report);
    }
  }
}

function checkTurn(history: History, key: KeyHistory, hold: Hold, present: readonly Stay[], report: Report): void {
  const first = grantOf(hold);
  const moment = decidedAt(hold);
  if (!history.times.isBeforeStep(first.at, first.node)) {
    report.unsure("P7", "grants after a server's clock was set");
    return;
  }
  const own = present.find(({ token }) => token === first.token);
  const ahead = present.filter((stay) => {
    if (stay === own || (own !== undefined && stay.ticket >= own.ticket)) return false;
    return (stay.left === undefined || stay.left.at > moment) && isCertainlyAlive(stay, moment);
  });
  const sure = ahead.filter((stay) => !mayBeForgotten(history, stay, moment));
  if (sure.length < ahead.length)
    report.unsure("P7", "waiters that a crash may have forgotten", ahead.length - sure.length);
  if (present.some((stay) => stay !== own && isCertainlyAlive(stay, moment)))
    report.checked("P7", "grants while others stood in line");
  report.checked("P7", own === undefined ? "grants to who did not stand in line" : "grants to who stood in line");
  if (sure.length === 0) return;
  report.checked("P7", "grants while others stood ahead");
  const passed = hold.kind === "lease" ? sure[0] : (sure.find(isForAll) ?? passedByWeight(history, hold, sure, moment));
  if (passed === undefined) return;
  const entry = passed.versions[0] as LineRow;
  report.object(
    "P7",
    `${sayKey(key.key)} was granted to ${sayHold(history, hold)} ${own === undefined ? "without a place in line" : `with ticket ${own.ticket}`}, ahead of ${entry.owner}, who stood there with ticket ${passed.ticket} since ${history.times.sayWall(entry.at, entry.node)} and was alive`,
    [entry, lastSeen(passed, moment), own?.versions[0], first],
  );
}

function isForAll(stay: Stay): boolean {
  return stay.versions.every(({ weight }) => weight === null);
}

/** A share may be granted beside those ahead of it if all of them fit together. */
function passedByWeight(history: History, hold: Hold, ahead: readonly Stay[], moment: number): Stay | undefined {
  const first = grantOf(hold);
  const rows = hold.standing.filter((row) => {
    if (row.kind !== "share" || row.releasedAt !== null) return false;
    return (row.expiresAt ?? 0) > moment && lifeOf(history, row, moment, first.node).is === "alive";
  });
  // an entry may be given other terms
  const steady = ahead.filter(({ versions: [entry, ...more] }) => {
    return more.every(({ weight, capacity }) => weight === entry?.weight && capacity === entry?.capacity);
  });
  const all = [...rows, first, ...steady.map(({ versions }) => versions[0] as LineRow)];
  const sum = all.reduce((total, { weight }) => total + (weight ?? 1), 0);
  const least = Math.min(...all.map(({ capacity }) => capacity ?? Number.POSITIVE_INFINITY));
  return sum > least ? steady[0] : undefined;
}

/** By what every transaction could see that had the lock of the key at that moment: entries are made under that lock. */
function isCertainlyAlive({ versions }: Stay, moment: number): boolean {
  const [entry] = versions;
  if (entry === undefined || entry.committedAt === null || entry.committedAt >= moment) return false;
  if (entry.aliveUntil > moment) return true;
  return versions.some((row) => {
    return row.committedAt !== null && row.committedAt < moment - UNSEEN && row.aliveUntil > moment;
  });
}

function lastSeen({ versions }: Stay, moment: number): LineRow | undefined {
  return versions.findLast(({ committedAt }) => committedAt !== null && committedAt < moment);
}

/** Entries are in an unlogged table: a crash empties it, and no row says so. */
function mayBeForgotten(history: History, { versions }: Stay, moment: number): boolean {
  const entry = versions[0] as LineRow;
  const from = history.times.monotonic(entry.at, entry.node);
  const to = history.times.monotonic(moment, entry.node);
  if (from === null || to === null) return true;
  return history.hasServerBegun(from, to);
}
