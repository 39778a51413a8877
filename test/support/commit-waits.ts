// Commits that wait for a synchronous standby, of which there is none. A reload reaches the process that decides on it only
// some time after it is asked for: so it is proven by a commit that waits.
import { openClient } from "./client.js";
import type { Cluster } from "./cluster.js";
import { until } from "./until.js";

/** From when this resolves, every commit of the cluster waits, until `endCommitWaits`. */
export async function startCommitWaits(cluster: Cluster): Promise<void> {
  const sql = await cluster.sql();
  await setStandbys(cluster, "nobody");
  const probe = await openClient(cluster.url);
  try {
    for (let isWaiting = false; !isWaiting; ) {
      let isCommitted = false;
      const committing = probe`select pg_logical_emit_message(true, 'probe', '')`.then(() => {
        isCommitted = true;
      });
      await until("a commit waits, or is over", async () => {
        const [row] = await sql`select pg_cancel_backend(pid) from pg_stat_activity
          where wait_event = 'SyncRep' and query like '%probe%'`;
        isWaiting ||= row !== undefined;
        return isCommitted;
      });
      await committing;
    }
  } finally {
    await probe.end();
  }
}

/** Lets all commits go on that wait, and those that come. */
export function endCommitWaits(cluster: Cluster): Promise<void> {
  return setStandbys(cluster, "");
}

async function setStandbys(cluster: Cluster, names: string): Promise<void> {
  const sql = await cluster.sql();
  await sql.unsafe(`alter system set synchronous_standby_names = '${names}'`);
  await sql`select pg_reload_conf()`;
}
