import type { LockMode } from "../../api/share-options.js";
import type { Holder, KeyState } from "../../store/messages.js";
import { EXACT_TIMES } from "../connection/exact-times.js";
import type { Answer, Lane } from "../connection/lane.js";
import type { Row } from "../connection/link.js";
import type { Acts } from "./acts.js";
import { toHolders } from "./holders.js";

export const INSPECT: string = `select state, owner, fence, session, alive, acquired, free, metadata, waiters, blocked, blocker, gid, now,
    mode, holders
  from leasehold_internal.inspect($1::pg_catalog.text), ${EXACT_TIMES}`;

/** The state of a key. Changes nothing. */
export async function check(acts: Acts, key: string): Promise<KeyState> {
  const answer = await acts.connections.commands.read(INSPECT, [key]);
  acts.learn(answer);
  return toKeyState(answer);
}

/** Who holds the key now; of several who share it, the oldest. Null when it is free, or can be granted to the next who asks. */
export async function holderOf(lane: Lane, key: string): Promise<Holder | null> {
  const { state, holders } = toKeyState(await lane.read(INSPECT, [key]));
  return state === "held" || state === "revoked" ? (holders[0] ?? null) : null;
}

function toKeyState(answer: Answer): KeyState {
  const row = answer.rows[0] as Row; // one row, always
  const expiresAtMs = row.free as number | null;
  return {
    state: row.state as KeyState["state"],
    mode: row.mode as LockMode | null,
    owner: row.owner as string | null,
    fence: row.fence === null ? null : BigInt(String(row.fence)),
    sessionId: row.session as number | null,
    holders: toHolders(row.holders),
    isSessionAlive: row.alive as boolean | null,
    acquiredAtMs: row.acquired as number | null,
    expiresAtMs,
    remainingMs: expiresAtMs === null ? null : Math.max(0, expiresAtMs - Number(row.now)),
    metadata: row.metadata as string | null,
    waiters: Number(row.waiters),
    isBlocked: row.blocked === true,
    blockingPid: row.blocker as number | null,
    blockingTransaction: row.gid as string | null,
  };
}
