import type { Lane } from "../connection/lane.js";

export const FIND_DEADLOCK =
  "select keys, owners from leasehold_internal.find_deadlock($1::pg_catalog.int4, $2::pg_catalog.uuid, $3::pg_catalog.text)";

/** The session that asks, and what proves that it is its own. */
interface Asker {
  readonly id: number;
  readonly nonce: string;
}

/** Who waits for what, one sentence for each session of the deadlock that this one is in; null when it is in none. */
export async function findDeadlock(lane: Lane, { id, nonce }: Asker, key: string): Promise<readonly string[] | null> {
  const [row] = (await lane.read(FIND_DEADLOCK, [id, nonce, key])).rows;
  if (row === undefined) {
    return null;
  }
  const keys = JSON.parse(String(row.keys)) as readonly string[];
  const owners = JSON.parse(String(row.owners)) as readonly string[];
  return keys.map((wanted, index) => {
    const holder = owners[(index + 1) % owners.length];
    return `${owners[index]} waits for ${JSON.stringify(wanted)}, held by ${holder}`;
  });
}
