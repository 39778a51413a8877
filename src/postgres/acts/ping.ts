import type { Lane } from "../connection/lane.js";

export const PING = "select pg_catalog.current_setting('server_version') as version";

export async function ping(lane: Lane): Promise<{ ms: number; serverVersion: string }> {
  const { rows, sentAt, receivedAt } = await lane.read(PING, []);
  return { ms: receivedAt.monotonicMs - sentAt.monotonicMs, serverVersion: String(rows[0]?.version) };
}
