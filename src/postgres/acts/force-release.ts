import { NotPermittedError } from "../../errors/errors.js";
import { quoteLiteral } from "../../runtime/quote.js";
import type { ForceReleaseAnswer, ForceReleaseRequest } from "../../store/messages.js";
import { EXACT_TIMES } from "../connection/exact-times.js";
import type { Row } from "../connection/link.js";
import { sqlState } from "../connection/server-errors.js";
import type { Acts } from "./acts.js";
import { toHolders } from "./holders.js";

export const FORCE_RELEASE: string = `select outcome, freeat, holders, next, blocked, blocker, gid
  from leasehold_internal.admin_force_release($1::pg_catalog.text, $2::bigint, $3::pg_catalog.text::boolean, false), ${EXACT_TIMES}`;

/** Takes a key from its holders. */
export async function forceRelease(
  acts: Acts,
  { key, fence, isImmediate }: ForceReleaseRequest,
): Promise<ForceReleaseAnswer> {
  const { commands, role } = acts.connections;
  const parameters = [key, fence === null ? null : String(fence), isImmediate];
  const { rows } = await acts.ask(commands, FORCE_RELEASE, parameters).catch((error: unknown) => {
    throw sqlState(error) === "42501" ? notAdministrator(role, error) : error;
  });
  const row = rows[0] as Row; // one row, always
  if (row.next !== null) {
    acts.notifyNext([key]);
  }
  return {
    outcome: row.outcome as ForceReleaseAnswer["outcome"],
    freeAtMs: row.freeat as number | null,
    holders: toHolders(row.holders),
    isBlocked: row.blocked === true,
    blockingPid: row.blocker as number | null,
    blockingTransaction: row.gid as string | null,
  };
}

/** `grant_usage`, which every other call needs, does not include this; `grant_admin` includes both. */
export function notAdministrator(role: string, cause: unknown): NotPermittedError {
  const statement = `select leasehold.grant_admin(${quoteLiteral(role)});`;
  return new NotPermittedError({ statement, role, cause });
}
