// What is done to the cluster, one after the other.
import { setTimeout as sleep } from "node:timers/promises";
import type { HighlyAvailable } from "./cluster.js";
import type { ClusterNode } from "./node.js";

export interface Fault {
  readonly name: string;
  /** For the report. */
  readonly what: string;
  /** Whether another node may become the primary without having all that the old one has answered. */
  readonly mayLose: boolean;
  /** Returns when it is undone. Whether the cluster is in order again is not waited for. */
  cause(cluster: HighlyAvailable, primary: ClusterNode, random: () => number): Promise<void>;
}

/** How long the old primary stays away after there is a new one: time to do harm. */
const AWAY_MS = 5_000;

const list: readonly Fault[] = [
  {
    name: "kill",
    what: "the primary is killed (Postgres and Patroni), and started again after the failover",
    mayLose: true,
    async cause(cluster, primary) {
      await primary.kill();
      await cluster.waitForPrimary(primary);
      await sleep(AWAY_MS);
      primary.start();
    },
  },
  {
    name: "freeze",
    what: "the primary is frozen (Postgres and Patroni), and goes on after the failover",
    mayLose: true,
    async cause(cluster, primary) {
      primary.freeze("both");
      await cluster.waitForPrimary(primary);
      await sleep(AWAY_MS);
      primary.thaw();
    },
  },
  {
    name: "freeze-patroni",
    what: "Patroni alone is frozen, and the old primary answers beside the new one",
    mayLose: true,
    async cause(cluster, primary) {
      primary.freeze("Patroni");
      await cluster.waitForPrimary(primary);
      await sleep(2 * AWAY_MS);
      primary.thaw();
    },
  },
  {
    name: "partition",
    what: "the primary is cut off from the other nodes, etcd and HAProxy; clients with several hosts still reach it",
    mayLose: true,
    async cause(cluster, primary) {
      primary.cutOff();
      await cluster.waitForPrimary(primary);
      await sleep(AWAY_MS);
      primary.reconnect();
    },
  },
  {
    name: "switchover",
    what: "patronictl switchover to another node",
    mayLose: false,
    async cause(cluster, primary, random) {
      const others = cluster.nodes.filter((node) => node !== primary);
      // with synchronous replication only the standby in step is a candidate
      const candidate = cluster.mode === "sync" ? [] : ["--candidate", others[random() < 0.5 ? 0 : 1]?.name ?? ""];
      await cluster.patronictl("switchover", "--leader", primary.name, ...candidate, "--force");
      await cluster.waitForPrimary(primary);
    },
  },
  {
    name: "haproxy",
    what: "HAProxy is killed, and started again after a second",
    mayLose: false,
    async cause(cluster) {
      await cluster.killHaproxy();
      await sleep(1_000);
      cluster.startHaproxy();
    },
  },
  {
    name: "etcd",
    what: "etcd is killed until Patroni has demoted the primary, and started again",
    mayLose: false,
    async cause(cluster, primary) {
      await cluster.killEtcd();
      for (let away = 0; away < 60_000 && (await cluster.primary()) === primary; away += 200) await sleep(200);
      await sleep(AWAY_MS);
      cluster.startEtcd();
      await cluster.waitForPrimary();
    },
  },
];

export const faults: readonly Fault[] = list;
