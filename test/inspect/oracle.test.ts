// Every view against an oracle, at every moment of a random play: processes lock, share, wait, release, die, freeze, run out, are
// forced, and guard. LEASEHOLD_SEED repeats it.
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { seeded } from "../support/random.js";
import { until } from "../support/until.js";
import { expectCycles } from "./cycles.js";
import { judge, nameOf, type Picture } from "./oracle.js";
import { createActs, deck } from "./oracle-acts.js";
import { type Facts, look, type Row, type Views } from "./oracle-look.js";
import { Play } from "./oracle-play.js";
import { all, type Cycle, statesIn } from "./oracle-seen.js";

const ROUNDS = process.env.LEASEHOLD_LONG ? 20 : 1;

const database = await createDatabase();
const { sql } = database;

test("every view says what the tables, the locks and the processes say", { timeout: 600_000 }, async () => {
  expectLeft(database, "leases", "shares", "waiters", "sessions");
  await using operator = openLocker(database, { owner: "operator" });
  await operator.ready();
  const play = new Play(database, operator, seeded("the views and their oracle"));
  onTestFinished(() => play.dispose());
  /** What has been seen in the views: at the end, everything there is. */
  const seen = new Set<string>();

  /** One look, compared. Again where the moment was not one: something ended during it, or a row was just being written. */
  async function compare(): Promise<void> {
    for (let turn = 0; ; turn += 1) {
      expect(turn, "a moment to look at").toBeLessThan(200);
      const heldBefore = await play.holdings();
      const { before, after, views } = await look(sql);
      const heldAfter = await play.holdings();
      const guarded = play.guarded();
      const picture = judge(before, guarded);
      const known = new Set(play.guards.map(({ pid }) => pid));
      if (isWriting(views, picture, known) || !isDeepStrictEqual(picture, judge(after, guarded))) continue;
      if (isOneHidden(views, picture) && turn < 20) continue;

      for (const view of ["active_leases", "waiting", "live_sessions", "expired_leases"] as const) {
        expect(sorted(views[view]), view).toEqual(sorted(picture[view]));
      }
      expectDeadlocks(views.deadlocks as unknown as Cycle[], before, picture);
      // the processes themselves: who believes it holds before and after is shown as the holder
      for (const { owner, holds } of heldBefore) {
        const later = heldAfter.find((other) => other.owner === owner)?.holds.map(nameOf) ?? [];
        for (const { key, fence } of holds) {
          const name = nameOf({ key, fence });
          if (!later.includes(name) || play.forced.has(name)) continue;
          expect(views.active_leases).toContainEqual(expect.objectContaining({ key, owner, fence: String(fence) }));
          seen.add("believed");
        }
      }
      for (const { owner, is_alive } of views.live_sessions) {
        expect(is_alive, `${owner} is alive`).toBe(!play.dead.has(owner as string));
      }
      for (const state of statesIn(views, picture)) seen.add(state);
      return;
    }
  }

  for (const hasPresence of [true, true, true, true, false]) await play.enter(hasPresence);
  const acts = createActs(play, database, compare);
  // Some of it lasts no longer than a busy machine takes to look: then it is played again.
  const missing = () => all.filter((what) => !seen.has(what));
  for (let round = 0; round < ROUNDS || (missing().length > 0 && round < ROUNDS + 4); round += 1) {
    const [first, ...rest] = deck.flatMap(([act, times]) => Array<string>(times).fill(act));
    for (const act of [first, ...play.shuffled(rest)]) {
      await acts[act as string]?.();
      await compare();
      await sleep(play.random() * 100);
      await compare();
    }
    for (const player of play.players.filter(({ isFrozen }) => isFrozen)) {
      await until("it is passed by", async () => {
        await compare();
        return (await sql`select from leasehold.waiting where owner = ${player.owner} and is_alive`).length === 0;
      });
      player.worker.cont();
      player.isFrozen = false;
    }
    while (play.guards.length > 0) await play.endGuard(0);
    await until("who was killed is confirmed dead", async () => {
      await compare();
      return seen.has("exclusive: orphaned") && seen.has("share: orphaned");
    });
  }
  expect(missing()).toEqual([]);
});

/** Whether a row is just being written: who does it is shown, and is none of the guards that are known. */
function isWriting(views: Views, picture: Picture, guards: ReadonlySet<unknown>): boolean {
  const isLive = (state: unknown) => state === "held" || state === "revoked" || state === "cooling";
  const live = new Set(picture.grants.filter(({ state }) => isLive(state)).map(({ key, fence }) => `${key} ${fence}`));
  // shown for what keeps it, and that cannot be told: it began when the locks had been looked at
  const isUnknown = (pid: unknown, isKeptOtherwise: boolean) => (pid === null ? !isKeptOtherwise : !guards.has(pid));
  return (
    views.active_leases.some(({ blocking_pid, state }) => isUnknown(blocking_pid, isLive(state))) ||
    views.waiting.some(({ key, blocking_pid, blocked_by_fence: fence }) =>
      isUnknown(blocking_pid, fence === null || live.has(`${key} ${fence}`)),
    )
  );
}

/** Whether one that has ended is not shown, as while it is being removed: it was locked after the look at active_leases. */
function isOneHidden({ expired_leases: shown }: Views, { expired_leases: over }: Picture): boolean {
  return over.some(({ key, fence }) => !shown.some((row) => row.key === key && row.fence === fence));
}

function expectDeadlocks(cycles: readonly Cycle[], { sessions, waiters }: Facts, { grants, edges }: Picture): void {
  expectCycles(
    cycles.map(({ session_ids }) => session_ids),
    edges,
  );
  for (const cycle of cycles) {
    const owners = cycle.session_ids.map((id) => sessions.find((session) => session.id === id)?.owner);
    expect(cycle.owners).toEqual(owners);
    for (const [index, id] of cycle.session_ids.entries()) {
      const key = cycle.keys[index];
      const next = cycle.session_ids[(index + 1) % cycle.session_ids.length];
      expect(waiters).toContainEqual(expect.objectContaining({ key, session: id }));
      expect(grants).toContainEqual(expect.objectContaining({ key, session: next, isTaken: true }));
      expect(cycle.path).toContain(`${owners[index]} waits for ${key}, held by `);
    }
  }
}

function sorted(rows: readonly Row[]): unknown[] {
  const name = ({ key, ticket, id, fence }: Row) => `${key} ${ticket} ${id} ${fence}`;
  return [...rows].sort((a, b) => (name(a) < name(b) ? -1 : 1));
}
