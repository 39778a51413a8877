import type { Holder } from "../../store/messages.js";

/** What SQL says of a holder. */
interface HolderRow {
  readonly owner: string | null;
  readonly fence: string;
  /** Null: it is exclusive. */
  readonly weight: number | null;
  readonly session: number | null;
  readonly expires: number;
}

/** The holders of a key as SQL lists them: JSON, or null when there are none. */
export function toHolders(json: unknown): readonly Holder[] {
  if (json === null) {
    return [];
  }
  return (JSON.parse(String(json)) as HolderRow[]).map(({ owner, fence, weight, session, expires }) => ({
    owner,
    fence: BigInt(fence),
    weight: weight ?? 1,
    sessionId: session,
    expiresAtMs: expires,
  }));
}
