// What happened to one key: the rows that the database recorded, made into holds, the calls that named it, and its queue.
import type { AccountRow, GrantRow, LineRow, WriteRow } from "./entries.js";
import type { Call, Handle } from "./processes.js";

/** One grant, as the database has it. Its fence names it. */
export interface Hold {
  readonly key: string;
  readonly fence: bigint;
  readonly kind: "lease" | "share";
  /** Its versions while it stood, the grant first. */
  readonly versions: GrantRow[];
  /** What stood on the key when it was granted, also what the same transaction removed for it: their last versions. */
  readonly standing: readonly GrantRow[];
  /** The version that ended it: without its token, deleted, or that of the next grant. */
  end: GrantRow | undefined;
  readonly handles: Handle[];
}

export class KeyHistory {
  readonly key: string;
  /** Of the database that serves at the end, in the order of their ids. */
  readonly rows: GrantRow[] = [];
  /** Of one that was replaced: what it has alone. */
  readonly lostRows: GrantRow[] = [];
  readonly line: LineRow[] = [];
  readonly writes: WriteRow[] = [];
  account: AccountRow | undefined;
  readonly handles: Handle[] = [];
  readonly calls: Call[] = [];
  /** In the order in which they were granted. */
  readonly holds: Hold[] = [];
  readonly #byFence = new Map<bigint, Hold>();
  readonly #lostByFence = new Map<bigint, GrantRow[]>();

  constructor(key: string) {
    this.key = key;
  }

  hold(fence: bigint): Hold | undefined {
    return this.#byFence.get(fence);
  }

  /** What a server that was replaced knew of a grant, alone. */
  lostVersions(fence: bigint): readonly GrantRow[] {
    return this.#lostByFence.get(fence) ?? [];
  }

  conclude(): void {
    const byId = (one: { readonly id: number }, other: { readonly id: number }): number => one.id - other.id;
    this.rows.sort(byId);
    this.lostRows.sort(byId);
    this.line.sort(byId);
    this.writes.sort(byId);
    this.#replay();
    for (const row of this.lostRows) {
      const fence = BigInt(row.fence);
      const known = this.#lostByFence.get(fence);
      if (known) known.push(row);
      else this.#lostByFence.set(fence, [row]);
    }
    for (const handle of this.handles) this.hold(handle.fence)?.handles.push(handle);
  }

  #replay(): void {
    let root: GrantRow | undefined;
    let exclusive: Hold | undefined;
    const shares = new Map<bigint, Hold>();
    const last = (hold: Hold): GrantRow => hold.end ?? (hold.versions.at(-1) as GrantRow);
    let removed: GrantRow[] = []; // by the transaction of the row before
    let xid: string | undefined;
    for (const row of this.rows) {
      const fence = BigInt(row.fence);
      if (row.xid !== xid) removed = [];
      xid = row.xid;
      if (row.kind === "share") {
        let hold = shares.get(fence);
        if (row.op === "D") {
          if (hold === undefined) continue;
          removed.push(last(hold));
          hold.end ??= row;
          shares.delete(fence);
        } else if (hold === undefined) {
          const standing = [...[...shares.values()].map(last), ...removed, ...(root ? [root] : [])];
          hold = this.#grant(row, fence, standing);
          shares.set(fence, hold);
        } else if (row.releasedAt !== null) {
          hold.end = row; // marked, and removed later; also what ends the minimum hold of one that was marked
        } else {
          hold.versions.push(row);
        }
        continue;
      }
      if (row.op === "D") {
        if (exclusive) exclusive.end ??= row;
        exclusive = undefined;
        root = undefined;
        continue;
      }
      if (row.token !== null && (exclusive?.fence !== fence || exclusive.end !== undefined)) {
        const standing = [...[...shares.values()].map(last), ...removed, ...(root ? [root] : [])];
        if (exclusive) exclusive.end ??= row;
        if (this.hold(fence))
          this.hold(fence)?.versions.push(row); // it has come back to life
        else exclusive = this.#grant(row, fence, standing);
      } else if (row.token !== null) {
        exclusive?.versions.push(row);
      } else if (exclusive) {
        exclusive.end ??= row;
      }
      root = row;
    }
  }

  #grant(row: GrantRow, fence: bigint, standing: readonly GrantRow[]): Hold {
    const { key, kind } = row;
    const hold: Hold = { key, fence, kind, versions: [row], standing, end: undefined, handles: [] };
    this.holds.push(hold);
    this.#byFence.set(fence, hold);
    return hold;
  }
}

/** When a grant was decided, or a little later: drawn after the decision, under the lock of the row. */
export function decidedAt(hold: Hold): number {
  const first = grantOf(hold);
  return first.renewedAt ?? first.at;
}

export function grantOf(hold: Hold): GrantRow {
  return hold.versions[0] as GrantRow;
}
