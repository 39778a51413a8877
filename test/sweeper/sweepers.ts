// A process with sweepers, each on a connection of its own, that go on and on.
import { setTimeout as sleep } from "node:timers/promises";
import { openClient } from "../support/client.js";
import { serve } from "../support/worker.js";

export interface Swept {
  readonly leases: number;
  readonly waiters: number;
  readonly sessions: number;
  /** How often one found another at work. */
  readonly busy: number;
}

interface Row {
  readonly leases_purged: number;
  readonly waiters_purged: number;
  readonly sessions_purged: number;
  readonly is_busy: boolean;
}

serve(async ({ url, count }: { readonly url: string; readonly count: number }) => {
  const clients = await Promise.all(Array.from({ length: count }, () => openClient(url)));
  const swept = { leases: 0, waiters: 0, sessions: 0, busy: 0 };
  let isStopped = false;

  const work = async (client: (typeof clients)[number]): Promise<void> => {
    while (!isStopped) {
      const [row] = await client<Row[]>`select * from leasehold.sweep()`;
      if (row === undefined) throw new Error("no answer");
      swept.leases += row.leases_purged;
      swept.waiters += row.waiters_purged;
      swept.sessions += row.sessions_purged;
      swept.busy += row.is_busy ? 1 : 0;
      await sleep(row.is_busy ? 30 : 0);
    }
  };

  return {
    /** All of them, until they are stopped: what they have done together. */
    sweep: async (): Promise<Swept> => {
      await Promise.all(clients.map(work));
      return swept;
    },
    stop: () => {
      isStopped = true;
    },
    close: () => Promise.all(clients.map((client) => client.end({ timeout: 1 }))),
  };
});
