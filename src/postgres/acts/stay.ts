import type { Place, StayRequest } from "../../store/store.js";
import { EXACT_TIMES } from "../connection/exact-times.js";
import { type Acts, MAX_BATCH } from "./acts.js";
import { plainArray, textArray } from "./array-literal.js";

export const STAY: string = `select item, now
  from leasehold_internal.stay($1::int, $2::pg_catalog.uuid, $3::double precision, $4::pg_catalog.text::pg_catalog.text[],
    $5::pg_catalog.text::pg_catalog.uuid[]), ${EXACT_TIMES}`;

/**
 * Keeps places in queues, in parts that are sent one behind the other. Resolves to those that are gone, or to null when nothing could be
 * done in the name of this process.
 */
export async function stay(acts: Acts, { places, notAfterMs }: StayRequest): Promise<readonly Place[] | null> {
  const parts = Array.from({ length: Math.ceil(places.length / MAX_BATCH) }, (_, n) =>
    stayPart(acts, places.slice(n * MAX_BATCH, (n + 1) * MAX_BATCH), notAfterMs),
  );
  const gone = await Promise.all(parts);
  return gone.some((part) => part === null) ? null : gone.flatMap((part) => part ?? []);
}

async function stayPart(acts: Acts, places: readonly Place[], notAfterMs: number): Promise<readonly Place[] | null> {
  const keys = textArray(places, ({ key }) => key);
  const tokens = plainArray(places, ({ token }) => token);
  const { commands } = acts.connections;
  const proven = await acts.askProven(commands, STAY, [notAfterMs, keys, tokens], { withDelay: false });
  const rows = proven?.answer.rows ?? null;
  return rows === null || rows.some(({ item }) => item === 0)
    ? null
    : rows.map(({ item }) => places[Number(item) - 1] as Place); // it names some of those that it was asked for
}
