import type { KeepEntriesRequest, QueueEntry } from "../../store/messages.js";
import { EXACT_TIMES } from "../connection/exact-times.js";
import { type Acts, MAX_BATCH } from "./acts.js";
import { plainArray, textArray } from "./array-literal.js";

export const KEEP_ENTRIES: string = `select item, now
  from leasehold_internal.keep_entries($1::int, $2::pg_catalog.uuid, $3::double precision, $4::pg_catalog.text::pg_catalog.text[],
    $5::pg_catalog.text::pg_catalog.uuid[]), ${EXACT_TIMES}`;

/**
 * Keeps entries in queues, in parts that are sent one after the other. Resolves to the entries that are gone, or to null when nothing
 * could be done in the name of this process.
 */
export async function keepEntries(
  acts: Acts,
  { entries, notAfterMs }: KeepEntriesRequest,
): Promise<readonly QueueEntry[] | null> {
  const parts = Array.from({ length: Math.ceil(entries.length / MAX_BATCH) }, (_, n) =>
    keepPart(acts, entries.slice(n * MAX_BATCH, (n + 1) * MAX_BATCH), notAfterMs),
  );
  const gone = await Promise.all(parts);
  return gone.some((part) => part === null) ? null : gone.flatMap((part) => part ?? []);
}

async function keepPart(
  acts: Acts,
  entries: readonly QueueEntry[],
  notAfterMs: number,
): Promise<readonly QueueEntry[] | null> {
  const keys = textArray(entries, ({ key }) => key);
  const tokens = plainArray(entries, ({ token }) => token);
  const { commands } = acts.connections;
  const proven = await acts.askProven(commands, KEEP_ENTRIES, [notAfterMs, keys, tokens], { withDelay: false });
  const rows = proven?.answer.rows ?? null;
  return rows === null || rows.some(({ item }) => item === 0)
    ? null
    : rows.map(({ item }) => entries[Number(item) - 1] as QueueEntry); // the items are indexes into what was sent
}
