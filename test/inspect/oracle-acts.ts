// What the players do: the acts of which a random play is made.
import type { AcquireOptions } from "../../src/index.js";
import type { TestDatabase } from "../support/database.js";
import { until } from "../support/until.js";
import type { Play } from "./oracle-play.js";

const KEYS = ["k0", "k1", "k2", "k3", "k4"];
const reading = { shared: true } as const;

export type Acts = Readonly<Record<string, () => Promise<void>>>;

/** The acts of one round, the first one first, the rest in any order. */
export const deck: readonly (readonly [act: string, times: number])[] = [
  ["freeze", 1],
  ["take", 26],
  ["wait", 20],
  ["release", 16],
  ["guard", 8],
  ["unguard", 6],
  ["force", 4],
  ["cool", 1],
  ["coolShare", 1],
  ["absent", 1],
  ["block", 1],
  ["lapse", 2],
  ["revoke", 1],
  ["queue", 1],
  ["kill", 1],
  ["cycle", 1],
  ["readers", 1],
  ["behind", 1],
  ["parts", 1],
  ["room", 1],
];

/** `compare` is called in the middle of an act where a state is soon over. */
export function createActs(play: Play, { sql }: TestDatabase, compare: () => Promise<void>): Acts {
  const cool = async (terms: AcquireOptions) => {
    const key = play.own("cool");
    const [first, second, third] = play.shuffled(play.awake());
    await play.take(first, key, { ...terms, minHoldMs: 2_000 });
    await play.take(third, key, terms);
    await play.wait(second, key);
    await play.release(first, key);
  };

  return {
    take: () =>
      play.take(play.any(play.awake()), play.any(KEYS), {
        ...play.terms(),
        ttlMs: 1_000 + play.under(4_000),
        keepAlive: play.random() < 0.6,
        minHoldMs: play.random() < 0.3 ? 700 : 0,
        ...(play.random() < 0.3 ? { maxHoldMs: 2_500 } : {}),
        metadata: play.any([null, 7, { deep: ["x"] }]) ?? null,
      }),
    wait: () => play.wait(play.any(play.awake()), play.any(KEYS), play.terms()),
    release: async () => {
      const { owner, holds } = play.any(await play.holdings()) ?? { owner: "", holds: [] };
      const held = play.any(holds);
      if (held) {
        await play.release(
          play.players.find((player) => player.owner === owner),
          held.key,
          held.fence,
        );
      }
    },
    force: () => play.force(play.any(KEYS) ?? "", true, play.random() < 0.3),
    guard: async () => {
      if (play.guards.length < 4) await play.guard(play.any(KEYS) ?? "");
    },
    unguard: async () => {
      // that of what is frozen stays: the lease is to run out under it
      const place = play.guards.findIndex(({ key }) => !key.startsWith("frozen"));
      if (place >= 0) await play.endGuard(place);
    },
    revoke: async () => {
      const [key, shared] = [play.own("revoked"), play.own("revoked")];
      await play.take(play.any(play.awake()), key, {});
      for (const player of play.shuffled(play.awake()).slice(0, 2)) await play.take(player, shared, reading);
      await play.force(shared, false, play.random() < 0.5);
      await play.force(key, false, false);
    },
    absent: async () => {
      const shared = play.own("absent");
      await play.take(play.absent(), play.own("absent"), {});
      await play.take(play.absent(), shared, { capacity: 3, weight: 2 });
      await play.take(play.any(play.present()), shared, { capacity: 4 });
    },
    /** Released, and kept for a while from somebody who waits for it; a share beside a newer one that is held. */
    cool: () => cool({}),
    coolShare: () => cool(play.any([reading, { capacity: 5, weight: 2 }]) ?? {}),
    lapse: async () => {
      const options = { ttlMs: 1_000, keepAlive: false };
      await play.take(play.any(play.awake()), play.own("lapsed"), options);
      await play.take(play.any(play.awake()), play.own("lapsed"), { ...options, ...reading });
    },
    /** Released while somebody guards it. */
    block: async () => {
      const [player, other] = play.shuffled(play.awake());
      for (const terms of [{}, reading]) {
        const key = play.own("blocked");
        await play.take(player, key, terms);
        await play.guard(key);
        await play.take(other, key, terms);
        await play.release(player, key);
      }
    },
    /** Behind those who read a key: a writer, a reader, and one who wants a part of it. */
    queue: async () => {
      const key = play.own("shared");
      const [first, second, third] = play.shuffled(play.awake());
      await play.take(first, key, reading);
      await play.take(second, key, reading);
      await play.stand(third, key);
      await play.stand(first, key, reading);
      await play.stand(second, key, { capacity: 3, weight: 2 });
    },
    cycle: async () => {
      const [one, two] = [play.own("cycle"), play.own("cycle")];
      const [first, second, third] = await play.rested();
      await play.take(first, one, {});
      await play.take(second, two, {});
      await play.wait(first, two);
      await play.wait(second, one);
      await play.wait(third, one);
    },
    /** Two who read two keys and want to write the other one. A third reads, too, and is in nobody's way for ever. */
    readers: async () => {
      const [one, two] = [play.own("cycle"), play.own("cycle")];
      const [first, second, third] = await play.rested();
      await play.take(first, one, reading);
      await play.take(second, two, reading);
      await play.take(third, two, reading);
      await play.stand(first, two);
      await play.stand(second, one);
    },
    /** A reader who would fit, behind a writer who waits for the other reader. */
    behind: async () => {
      const [one, two] = [play.own("cycle"), play.own("cycle")];
      const [first, second, third] = await play.rested();
      await play.take(first, one, reading);
      await play.take(second, two, {});
      await play.stand(first, two);
      await play.stand(third, one);
      await play.stand(second, one, reading);
    },
    /** Two who have a semaphore, and want more of it. */
    parts: async () => {
      const key = play.own("cycle");
      const [first, second] = await play.rested();
      await play.take(first, key, { capacity: 3, weight: 2 });
      await play.take(second, key, { capacity: 3 });
      await play.stand(first, key, { capacity: 3 });
      await play.stand(second, key, { capacity: 3, weight: 2 });
    },
    /** The same, but somebody else may make room. */
    room: async () => {
      const key = play.own("room");
      const part = { capacity: 3 };
      const [first, second, third] = await play.rested();
      for (const player of [first, second, third]) await play.take(player, key, part);
      for (const player of [first, second]) await play.stand(player, key, part);
    },
    kill: async () => {
      const [player, other] = play.shuffled(play.present());
      if (!player) return;
      const shared = play.own("dying");
      await play.take(player, play.own("dying"), { ttlMs: 600_000 });
      await play.take(player, shared, { capacity: 5, weight: 2, ttlMs: 600_000 });
      await play.take(other, shared, { ...reading, ttlMs: 600_000 });
      play.players.splice(play.players.indexOf(player), 1);
      await player.worker.kill("SIGKILL");
      await until(
        "the server has noticed",
        async () =>
          (await sql`select from leasehold.live_sessions where owner = ${player.owner} and is_alive`).length === 0,
      );
      play.dead.add(player.owner);
      await compare(); // before its takeover delay has passed
      await play.enter();
    },
    /** Freezes while it waits, and while it holds what somebody guards and somebody else waits for. */
    freeze: async () => {
      const [player, other] = play.present();
      if (!player) return;
      const [key, shared, queued] = [play.own("frozen"), play.own("frozen"), play.own("queued")];
      await play.take(other, queued, {});
      await play.wait(player, queued);
      await play.take(other, shared, { ...reading, ttlMs: 600_000 });
      await play.take(player, shared, { capacity: 9, weight: 3, ttlMs: 1_500 });
      await play.guard(shared, player.owner);
      await play.take(player, key, { ttlMs: 1_500 });
      await play.guard(key);
      // nobody ends the waits of this one
      await play.wait(play.absent(), key);
      await play.wait(play.absent(), shared);
      // nobody frees them: one that is awake frees what has expired at once
      await play.take(player, play.own("hung"), { ttlMs: 1_500 });
      await play.take(player, play.own("hung"), { ...reading, ttlMs: 1_500 });
      player.worker.stop();
      player.isFrozen = true;
    },
  };
}
