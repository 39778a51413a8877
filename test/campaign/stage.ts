// What a round is played on: the server, the processes, and what the faults may reach.
import type postgres from "postgres";
import { changeUrl, openClient } from "../support/client.js";
import type { Cluster, Standby } from "../support/cluster.js";
import type { Actor } from "./actor.js";
import type { Journal } from "./journal.js";
import type { Keys } from "./keys.js";

export interface Stage {
  readonly journal: Journal;
  readonly keys: Keys;
  /** The server that serves now. */
  primary: Cluster;
  /** The name of each server, as its `cluster_name` says. */
  readonly names: Map<Cluster, string>;
  standby: Standby | undefined;
  /** The standby has not heard of the last commits when it is promoted. */
  readonly isLagging: boolean;
  /** After a promotion half of the processes go on with the old primary for a while. */
  readonly leavesOldPrimary: boolean;
  /** Those that run; the nemesis replaces one that it killed. */
  readonly actors: Actor[];
  /** Those with which a fault is at work. */
  readonly disturbed: Set<Actor>;
  /** A fault that concerns the whole server is at work. */
  isServerDisturbed: boolean;
  /** In place of one that was killed. */
  replace(actor: Actor): Promise<void>;
  /** The proxies of these lead to the server that serves now. */
  retarget(actors: readonly Actor[]): void;
  /** Sets the clock of the server off by so many seconds; undefined where that cannot be done. */
  readonly setServerClock: ((seconds: number) => Promise<void>) | undefined;
  /** The same for the wall clock of a process. */
  readonly setWallClock: ((actor: Actor, seconds: number) => Promise<void>) | undefined;
  /** The folder that fills up. */
  readonly disk: string | undefined;
  readonly isOver: () => boolean;
}

/** As superuser, past all proxies. */
export async function withSuperuser<T>(stage: Stage, use: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = await openClient(changeUrl(stage.primary.url, {}));
  try {
    return await use(sql);
  } finally {
    await sql.end({ timeout: 0 });
  }
}
