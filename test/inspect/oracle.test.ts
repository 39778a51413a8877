// Every view against an oracle, at every moment of a random play: processes lock, wait, release, die, freeze, run out, are forced,
// and guard. LEASEHOLD_SEED repeats it.
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import type { AcquireOptions } from "../../src/index.js";
import { startWorker, type WorkerProcess } from "../support/child.js";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { seeded } from "../support/random.js";
import { until } from "../support/until.js";
import { expectCycles } from "./cycles.js";
import { judge, look } from "./oracle.js";
import type { Holding } from "./oracle-worker.js";

const ROUNDS = process.env.LEASEHOLD_LONG ? 20 : 1;
const KEYS = ["k0", "k1", "k2", "k3", "k4"];

const database = await createDatabase();
const { sql } = database;

interface Player {
  readonly owner: string;
  readonly worker: WorkerProcess;
  readonly hasPresence: boolean;
  isFrozen: boolean;
}

interface Guarding {
  readonly key: string;
  readonly client: postgres.Sql;
  readonly pid: number;
}

test("every view says what the tables, the locks and the processes say", { timeout: 600_000 }, async () => {
  expectLeft(database, "leases", "waiters", "sessions");
  const random = seeded("the views and their oracle");
  const any = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
  await using operator = openLocker(database, { owner: "operator" });
  await operator.ready();
  const players: Player[] = [];
  const dead = new Set<string>();
  const guards: Guarding[] = [];
  /** Their holders are the last to learn of it. */
  const forced = new Set<string>();
  /** What has been seen in the views: at the end, everything there is. */
  const seen = new Set<string>();
  let made = 0;
  onTestFinished(async () => {
    for (const { client } of guards) await client.end({ timeout: 1 });
    for (const { worker } of players) await worker.dispose();
  });

  async function enter(hasPresence = true): Promise<void> {
    made += 1;
    const owner = `player-${made}`;
    const options = { owner, presence: hasPresence ? "on" : "off", takeoverDelayMs: 3_000, ttlMs: 3_000 };
    const worker = await startWorker("test/inspect/oracle-worker.ts", { url: database.url, options });
    players.push({ owner, worker, hasPresence, isFrozen: false });
  }

  const awake = () => players.filter(({ isFrozen }) => !isFrozen);
  const holdings = () =>
    Promise.all(awake().map(async ({ owner, worker }) => ({ owner, holds: await worker.request<Holding[]>("holds") })));
  const take = (player: Player | undefined, key: string | undefined, options: AcquireOptions) =>
    player?.worker.request("take", { key, options });
  const wait = (player: Player | undefined, key: string | undefined) => player?.worker.request("wait", { key });
  const release = (player: Player | undefined, key: string) => player?.worker.request("release", { key });
  /** A key that only this act is about: what it shows does not hang on chance. */
  const own = (what: string) => `${what}-${random()}`;

  async function guard(key: string): Promise<void> {
    const [lease] = await sql`select fence::text from leasehold.leases where key = ${key}`;
    const client = await openClient(database.url);
    const [backend] = await client`select pg_backend_pid() as pid`;
    await client.unsafe("begin");
    try {
      if (random() < 0.5) await client`savepoint within`;
      await client`select leasehold.guard(${key}, ${lease?.fence}::bigint, '1 minute')`;
      guards.push({ key, client, pid: backend?.pid });
    } catch {
      await client.end({ timeout: 1 }); // it was over
    }
  }

  async function endGuard(place: number): Promise<void> {
    const [guarding] = guards.splice(place, 1);
    await guarding?.client.unsafe("rollback");
    await guarding?.client.end();
  }

  async function force(key: string, immediate: boolean): Promise<void> {
    const [lease] = await sql`select fence::text from leasehold.leases where key = ${key}`;
    if (!lease) return;
    forced.add(`${key} ${lease.fence}`);
    await operator.forceRelease(key, { fence: BigInt(lease.fence), immediate });
  }

  const acts = {
    take: () =>
      take(any(awake()), any(KEYS), {
        ttlMs: 1_000 + Math.floor(random() * 4_000),
        keepAlive: random() < 0.6,
        minHoldMs: random() < 0.3 ? 700 : 0,
        ...(random() < 0.3 ? { maxHoldMs: 2_500 } : {}),
        metadata: any([null, 7, { deep: ["x"] }]) ?? null,
      }),
    wait: () => wait(any(awake()), any(KEYS)),
    release: async () => {
      const player = any(awake());
      const held = any((await player?.worker.request<Holding[]>("holds")) ?? []);
      if (held) await release(player, held.key);
    },
    force: () => force(any(KEYS) ?? "", true),
    guard: () => (guards.length < 3 ? guard(any(KEYS) ?? "") : undefined),
    unguard: async () => {
      // that of what is frozen stays: the lease is to run out under it
      const place = guards.findIndex(({ key }) => !key.startsWith("frozen"));
      if (place >= 0) await endGuard(place);
    },
    revoke: async () => {
      const key = own("revoked");
      await take(any(awake()), key, {});
      await force(key, false);
    },
    absent: () =>
      take(
        players.find(({ hasPresence }) => !hasPresence),
        own("absent"),
        {},
      ),
    /** Released, and kept for a while from somebody who waits for it. */
    cool: async () => {
      const key = own("cool");
      const [first, second] = awake();
      await take(first, key, { minHoldMs: 2_000 });
      await wait(second, key);
      await release(first, key);
    },
    lapse: () => take(any(awake()), own("lapsed"), { ttlMs: 1_000, keepAlive: false }),
    /** Released while somebody guards it. */
    block: async () => {
      const key = own("blocked");
      const [player] = awake();
      await take(player, key, {});
      await guard(key);
      await release(player, key);
    },
    cycle: async () => {
      const [one, two] = [own("cycle"), own("cycle")];
      const [first, second, third] = awake().filter(({ hasPresence }) => hasPresence);
      await take(first, one, {});
      await take(second, two, {});
      await wait(first, two);
      await wait(second, one);
      await wait(third, one);
    },
    kill: async () => {
      const player = any(awake().filter(({ hasPresence }) => hasPresence));
      if (!player) return;
      await take(player, own("dying"), { ttlMs: 600_000 });
      players.splice(players.indexOf(player), 1);
      await player.worker.kill("SIGKILL");
      await until(
        "the server has noticed",
        async () =>
          (await sql`select from leasehold.live_sessions where owner = ${player.owner} and is_alive`).length === 0,
      );
      dead.add(player.owner);
      await compare(); // before its takeover delay has passed
      await enter();
    },
    /** Freezes while it waits, and while it holds what somebody guards and somebody else waits for. */
    freeze: async () => {
      const [player, other] = awake().filter(({ hasPresence }) => hasPresence);
      if (!player) return;
      const [key, queued] = [own("frozen"), own("queued")];
      await take(other, queued, {});
      await wait(player, queued);
      await take(player, key, { ttlMs: 1_500 });
      await guard(key);
      await wait(other, key);
      await take(player, own("hung"), { ttlMs: 1_500 }); // nobody frees it: one that is awake frees what has expired at once
      player.worker.stop();
      player.isFrozen = true;
    },
  };

  /** One look, compared. Again where the moment was not one: something ended during it, or a row was just being written. */
  async function compare(): Promise<void> {
    for (let turn = 0; ; turn += 1) {
      expect(turn, "a moment to look at").toBeLessThan(200);
      const heldBefore = await holdings();
      const { before, after, views } = await look(sql);
      const heldAfter = await holdings();
      const guarded = new Map<string, number>();
      for (const { key, pid } of guards) guarded.set(key, Math.min(pid, guarded.get(key) ?? pid));
      const picture = judge(before, guarded);
      const known = [null, ...guards.map(({ pid }) => pid)];
      const isOver = (state: unknown) => state !== "held" && state !== "revoked" && state !== "cooling";
      const isWriting = Object.values(views)
        .flat()
        .some(
          ({ blocking_pid, state }) =>
            (blocking_pid !== undefined && !known.includes(blocking_pid as number | null)) ||
            // shown for what keeps it, and that cannot be told: it began when the locks had been looked at
            (blocking_pid === null && state !== undefined && isOver(state)),
        );
      if (isWriting || !isDeepStrictEqual(picture, judge(after, guarded))) continue;

      for (const view of ["active_leases", "waiting", "live_sessions", "expired_leases"] as const) {
        expect(sorted(views[view] ?? []), view).toEqual(sorted(picture[view]));
      }
      const cycles = (views.deadlocks ?? []) as unknown as Cycle[];
      expectCycles(
        cycles.map(({ session_ids }) => session_ids),
        picture.edges,
      );
      for (const cycle of cycles) {
        const owners = cycle.session_ids.map((id) => before.sessions.find((session) => session.id === id)?.owner);
        expect(cycle.owners).toEqual(owners);
        for (const [index, id] of cycle.session_ids.entries()) {
          const key = cycle.keys[index];
          const next = cycle.session_ids[(index + 1) % cycle.session_ids.length];
          expect(before.waiters).toContainEqual(expect.objectContaining({ key, session: id }));
          expect(before.leases).toContainEqual(expect.objectContaining({ key, session: next, isTaken: true }));
          expect(cycle.path).toContain(`${owners[index]} waits for ${key}, held by `);
        }
      }
      // the processes themselves: who believes it holds before and after is shown as the holder
      for (const { owner, holds } of heldBefore) {
        for (const { key, fence } of holds) {
          const isHeld = heldAfter.some(
            (other) => other.owner === owner && other.holds.some((lock) => lock.key === key && lock.fence === fence),
          );
          if (isHeld && !forced.has(`${key} ${fence}`)) {
            expect(views.active_leases).toContainEqual(expect.objectContaining({ key, owner, fence: String(fence) }));
            seen.add("believed");
          }
        }
      }
      for (const { owner, is_alive } of views.live_sessions ?? []) {
        expect(is_alive, `${owner} is alive`).toBe(!dead.has(owner as string));
      }
      note(views);
      return;
    }
  }

  function note(views: Record<string, readonly Readonly<Record<string, unknown>>[]>): void {
    for (const { reason } of views.expired_leases ?? []) seen.add(`${reason}`);
    for (const { state, is_session_alive, waiters } of views.active_leases ?? []) {
      seen.add(state === "expired" || state === "orphaned" ? "over and guarded" : `${state}`);
      if (state === "held") seen.add(`session ${is_session_alive}`);
      if (Number(waiters) > 1) seen.add("several wait");
    }
    for (const { position, blocking_pid, key } of views.waiting ?? []) {
      seen.add(position === null ? "passed by" : "in the queue");
      if (blocking_pid !== null) seen.add("waits for a guard");
      if (!views.active_leases?.some((lease) => lease.key === key)) seen.add("waits for what is free");
    }
    if ((views.deadlocks ?? []).length > 0) seen.add("cycle");
  }

  for (const hasPresence of [true, true, true, true, false]) await enter(hasPresence);
  const all = [
    "believed",
    "blocked",
    "cooling",
    "cycle",
    "expired",
    "held",
    "in the queue",
    "orphaned",
    "over and guarded",
    "passed by",
    "revoked",
    "session false",
    "session null",
    "session true",
    "several wait",
    "waits for a guard",
    "waits for what is free",
  ];
  // Some of it lasts no longer than a busy machine takes to look: then it is played again.
  const isMissing = () => all.some((what) => !seen.has(what));
  for (let round = 0; round < ROUNDS || (isMissing() && round < ROUNDS + 4); round += 1) {
    const deck: (keyof typeof acts)[] = ["freeze"];
    const put = (act: keyof typeof acts, times: number) => deck.push(...Array<typeof act>(times).fill(act));
    put("take", 14);
    put("wait", 12);
    put("release", 8);
    put("guard", 5);
    put("unguard", 4);
    put("force", 3);
    put("cool", 2);
    put("absent", 1);
    put("block", 1);
    put("lapse", 2);
    put("revoke", 1);
    put("cycle", 1);
    put("kill", 1);
    for (let act = deck.shift(); act !== undefined; [act] = deck.splice(Math.floor(random() * deck.length), 1)) {
      await acts[act]();
      await compare();
      await sleep(random() * 120);
      await compare();
    }
    for (const player of players.filter(({ isFrozen }) => isFrozen)) {
      await until("it is passed by", async () => {
        await compare();
        return (await sql`select from leasehold.waiting where owner = ${player.owner} and is_alive`).length === 0;
      });
      player.worker.cont();
      player.isFrozen = false;
    }
    while (guards.length > 0) await endGuard(0);
    await until("who was killed is confirmed dead", async () => {
      await compare();
      return seen.has("orphaned");
    });
  }
  expect([...seen].sort()).toEqual(all);
});

interface Cycle {
  readonly keys: readonly string[];
  readonly owners: readonly string[];
  readonly session_ids: readonly number[];
  readonly path: string;
}

function sorted(rows: readonly Readonly<Record<string, unknown>>[]): unknown[] {
  const name = ({ key, ticket, id }: Readonly<Record<string, unknown>>) => `${key} ${ticket} ${id}`;
  return [...rows].sort((a, b) => (name(a) < name(b) ? -1 : 1));
}
