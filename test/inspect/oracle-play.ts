// Who plays while the views are compared with their oracle: processes that lock and wait, and transactions that guard.
import type postgres from "postgres";
import type { AcquireOptions, Locker } from "../../src/index.js";
import { startWorker, type WorkerProcess } from "../support/child.js";
import { openClient } from "../support/client.js";
import type { TestDatabase } from "../support/database.js";
import { until } from "../support/until.js";
import { nameOf } from "./oracle.js";
import type { Holding } from "./oracle-worker.js";

export interface Player {
  readonly owner: string;
  readonly worker: WorkerProcess;
  readonly hasPresence: boolean;
  isFrozen: boolean;
}

interface Guarding {
  readonly key: string;
  readonly fence: string;
  readonly client: postgres.Sql;
  readonly pid: number;
}

export class Play {
  readonly players: Player[] = [];
  readonly dead = new Set<string>();
  readonly guards: Guarding[] = [];
  /** Grants that were taken away: their holders are the last to learn of it. */
  readonly forced = new Set<string>();
  readonly random: () => number;
  readonly #database: TestDatabase;
  readonly #operator: Locker;
  #made = 0;

  constructor(database: TestDatabase, operator: Locker, random: () => number) {
    this.#database = database;
    this.#operator = operator;
    this.random = random;
  }

  async dispose(): Promise<void> {
    for (const { client } of this.guards) await client.end({ timeout: 1 });
    for (const { worker } of this.players) await worker.dispose();
  }

  under(bound: number): number {
    return Math.floor(this.random() * bound);
  }

  any<T>(list: readonly T[]): T | undefined {
    return list[this.under(list.length)];
  }

  shuffled<T>(list: readonly T[]): T[] {
    const rest = [...list];
    return list.flatMap(() => rest.splice(this.under(rest.length), 1));
  }

  /** A key that only this act is about: what it shows does not hang on chance. */
  own(what: string): string {
    return `${what}-${this.random()}`;
  }

  /** The whole key, a read lock, or a part. */
  terms(): AcquireOptions {
    const chance = this.random();
    if (chance < 0.35) return {};
    return chance < 0.7 ? { shared: true } : { capacity: 2 + this.under(2), weight: 1 + this.under(2) };
  }

  async enter(hasPresence = true): Promise<void> {
    this.#made += 1;
    const owner = `player-${this.#made}`;
    const options = { owner, presence: hasPresence ? "on" : "off", takeoverDelayMs: 3_000, ttlMs: 3_000 };
    const worker = await startWorker("test/inspect/oracle-worker.ts", { url: this.#database.url, options });
    this.players.push({ owner, worker, hasPresence, isFrozen: false });
  }

  awake(): Player[] {
    return this.players.filter(({ isFrozen }) => !isFrozen);
  }

  /** Those who are awake and have a session. */
  present(): Player[] {
    return this.awake().filter(({ hasPresence }) => hasPresence);
  }

  absent(): Player | undefined {
    return this.players.find(({ hasPresence }) => !hasPresence);
  }

  /** Some of those, who wait for nothing any more. */
  async rested(): Promise<Player[]> {
    const players = this.shuffled(this.present());
    for (const { worker } of players) await worker.request("giveUp");
    return players;
  }

  /** What those who are awake believe to hold. */
  holdings(): Promise<{ owner: string; holds: Holding[] }[]> {
    return Promise.all(
      this.awake().map(async ({ owner, worker }) => ({ owner, holds: await worker.request<Holding[]>("holds") })),
    );
  }

  async take(player: Player | undefined, key: string | undefined, options: AcquireOptions): Promise<void> {
    await player?.worker.request("take", { key, options });
  }

  async wait(player: Player | undefined, key: string | undefined, options: AcquireOptions = {}): Promise<void> {
    await player?.worker.request("wait", { key, options });
  }

  /** Waits, and stands in the queue when this returns; or has been granted the key on a machine that is too slow to renew. */
  async stand(player: Player | undefined, key: string, options: AcquireOptions = {}): Promise<void> {
    const { sql } = this.#database;
    const count = async () => {
      const [row] = await sql`
        select (select count(*) from leasehold.waiters w where w.key = ${key})
             + (select coalesce(max(l.acquisitions), 0) from leasehold.leases l where l.key = ${key}) as n`;
      return BigInt(row?.n ?? 0);
    };
    const before = await count();
    await this.wait(player, key, options);
    await until("it stands in the queue", async () => player === undefined || (await count()) > before);
  }

  async release(player: Player | undefined, key: string, fence?: bigint): Promise<void> {
    await player?.worker.request("release", { key, fence });
  }

  /** A transaction that guards one of the grants of a key. */
  async guard(key: string, owner?: string): Promise<void> {
    const fence = await this.#anyFence(key, owner);
    if (fence === undefined) return;
    const client = await openClient(this.#database.url);
    const [backend] = await client`select pg_backend_pid() as pid`;
    await client.unsafe("begin");
    try {
      if (this.random() < 0.5) await client`savepoint within`;
      await client`select leasehold.guard(${key}, ${fence}::bigint, '10 minutes')`;
      this.guards.push({ key, fence, client, pid: backend?.pid });
    } catch {
      await client.end({ timeout: 1 }); // it was over
    }
  }

  async endGuard(place: number): Promise<void> {
    const [guarding] = this.guards.splice(place, 1);
    await guarding?.client.unsafe("rollback");
    await guarding?.client.end();
  }

  /** Of each grant that is guarded, the lowest server process that does. */
  guarded(): Map<string, number> {
    const guarded = new Map<string, number>();
    for (const guard of this.guards) {
      guarded.set(nameOf(guard), Math.min(guard.pid, guarded.get(nameOf(guard)) ?? guard.pid));
    }
    return guarded;
  }

  /** Takes one of its grants away, or all of them. */
  async force(key: string, immediate: boolean, isForAll: boolean): Promise<void> {
    const fence = isForAll ? undefined : await this.#anyFence(key);
    if (fence === undefined && !isForAll) return;
    const done = await this.#operator.forceRelease(key, {
      ...(fence === undefined ? {} : { fence: BigInt(fence) }),
      immediate,
    });
    for (const holder of done?.holders ?? []) this.forced.add(nameOf({ key, fence: holder.fence }));
  }

  async #anyFence(key: string, owner?: string): Promise<string | undefined> {
    const fences = await this.#database.sql`
      select fence::text from leasehold.leases
       where key = ${key} and expires_at is not null and (${owner ?? null}::text is null or owner = ${owner ?? null})
      union all
      select fence::text from leasehold.shares
       where key = ${key} and (${owner ?? null}::text is null or owner = ${owner ?? null})
       order by fence`;
    return this.any(fences)?.fence;
  }
}
