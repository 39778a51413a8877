import { type KeyEvent, leaseColumns } from "../protocol.js";
import type { Rows } from "../reading/reading.js";

const MOST_EVENTS = 1_000;

type Lease = { readonly [name in (typeof leaseColumns)[number]]: unknown };

/**
 * What happens to keys, told by how the rows of one look differ from those of the look before. What begins and ends between two looks is not
 * seen; a lease counts its grants, so it is known how many there were.
 */
export class History {
  readonly #events: KeyEvent[] = [];

  /** The last of them, oldest first. */
  get events(): readonly KeyEvent[] {
    return this.#events;
  }

  /**
   * What has happened between two looks at the leases, oldest first; of more than a thousand the last. `cutSinceMs`: where not all rows are
   * read, those come into view and leave it for which nothing has happened; when the look before was. Then only a grant since, and what another
   * row of the same key proves, is told.
   */
  compare(before: Rows, after: Rows, atMs: number, cutSinceMs: number = Number.NEGATIVE_INFINITY): readonly KeyEvent[] {
    const isCut = cutSinceMs !== Number.NEGATIVE_INFINITY;
    const ended = new Map<string, Lease[]>();
    for (const [id, row] of before) {
      if (!after.has(id)) {
        const lease = toLease(row);
        const key = String(lease.key);
        const others = ended.get(key);
        if (others === undefined) ended.set(key, [lease]);
        else others.push(lease);
      }
    }
    const found: KeyEvent[] = [];
    for (const [id, row] of after) {
      const was = before.get(id);
      if (was === row) {
        continue;
      }
      const lease = toLease(row);
      if (was === undefined && isCut && !ended.has(String(lease.key)) && !(Number(lease.acquiredAt) >= cutSinceMs)) {
        continue;
      }
      const event = was === undefined ? begun(lease, ended, atMs) : changed(toLease(was), lease, atMs);
      if (was === undefined && lease.mode === "exclusive") {
        // They have ended before this one began.
        for (const one of ended.get(String(lease.key)) ?? []) found.push(over(one, event?.at ?? atMs));
        ended.delete(String(lease.key));
      }
      if (event !== null) {
        found.push(event);
      }
    }
    if (!isCut) {
      for (const lease of [...ended.values()].flat()) {
        found.push(over(lease, atMs));
      }
    }
    found.sort((a, b) => a.at - b.at);
    found.splice(0, found.length - MOST_EVENTS); // more are kept nowhere, and too many are no arguments
    this.#events.push(...found);
    this.#events.splice(0, this.#events.length - MOST_EVENTS);
    return found;
  }
}

/** A grant that was not there before. It takes what it took over from out of `ended`. */
function begun(lease: Lease, ended: Map<string, Lease[]>, atMs: number): KeyEvent | null {
  const { key, owner, fence, state, mode, acquiredAt, acquisitions } = lease;
  if (state !== "held" && state !== "revoked") {
    return state === "blocked" ? event(lease, "blocked", atMs) : null;
  }
  const before = ended.get(String(key)) ?? [];
  const lapsed = before.find(
    (one) => one.state === "expired" || one.state === "orphaned" || one.isSessionAlive === false,
  );
  if (lapsed !== undefined) {
    ended.set(
      String(key),
      before.filter((one) => one !== lapsed),
    );
  }
  const last = before[0]?.acquisitions;
  const unseen = typeof last === "number" && typeof acquisitions === "number" ? acquisitions - last - 1 : 0;
  return {
    at: typeof acquiredAt === "number" ? acquiredAt : atMs,
    key: String(key),
    what: lapsed !== undefined ? "taken over" : mode === "exclusive" ? "granted" : "shared",
    owner: textOf(owner),
    fence: textOf(fence),
    ...(lapsed !== undefined && { from: textOf(lapsed.owner) }),
    ...(unseen > 0 && { unseen }),
  };
}

function changed(was: Lease, is: Lease, atMs: number): KeyEvent | null {
  if (was.state === is.state) {
    return null;
  }
  switch (is.state) {
    case "revoked":
    case "expired":
    case "orphaned":
    case "cooling":
    case "blocked":
      return event(is, is.state, is.state === "expired" && typeof is.expiresAt === "number" ? is.expiresAt : atMs);
    default:
      return null;
  }
}

function over(lease: Lease, atMs: number): KeyEvent {
  switch (lease.state) {
    case "revoked":
      return event(lease, "freed by force", atMs);
    case "expired":
    case "orphaned":
      return event(lease, "swept", atMs);
    default:
      return event(lease, "ended", atMs); // released, as a rule; what was lost and granted anew at once looks the same
  }
}

function event({ key, owner, fence }: Lease, what: KeyEvent["what"], at: number): KeyEvent {
  return { at, key: String(key), what, owner: textOf(owner), fence: textOf(fence) };
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function toLease(row: string): Lease {
  const values = JSON.parse(row) as unknown[];
  return Object.fromEntries(leaseColumns.map((name, index) => [name, values[index]])) as Lease;
}
