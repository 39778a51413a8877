// What goes wrong during a run, now and then. Each kind comes as often in every part of it, so that the parts can be compared.
import { setTimeout as sleep } from "node:timers/promises";

export interface Targets {
  /** Ends one connection of a locker's at the server. `share`: from 0 to below 1, which one. */
  terminate(share: number): Promise<unknown>;
  /** Kills a worker, and starts another. */
  replace(share: number): Promise<unknown>;
  freeze(share: number, ms: number): Promise<unknown>;
  /** Resets all connections of every second worker. */
  cut(): unknown;
  /** Nothing passes to and from these for a while, and nobody is told. */
  silence(ms: number): Promise<unknown>;
  /** Stops the server as a crash would, and starts it again. Null: it is not ours. */
  readonly restart: (() => Promise<unknown>) | null;
}

export interface FaultPlan {
  readonly durationMs: number;
  readonly everyMs: number;
}

/** All of them, in an order that is drawn, before one comes again. */
const deck = ["terminate", "cut", "terminate", "freeze", "kill", "terminate", "silence"] as const;

/**
 * At which part of the run the server is stopped: seldom, for all its processes are new then, and a leak of theirs needs time to be
 * seen. The first is in the time that is not judged.
 */
export const restartsAt: readonly number[] = [0.12, 0.62];

/** Until the signal. A fault that fails itself, as the server is away just then, is noted as missed. */
export async function causeFaults(
  targets: Targets,
  plan: FaultPlan,
  random: () => number,
  note: (what: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const all = [disturb(targets, plan, random, note, signal)];
  if (targets.restart !== null) all.push(restart(targets.restart, plan, note, signal));
  await Promise.all(all);
}

async function disturb(
  targets: Targets,
  { everyMs }: FaultPlan,
  random: () => number,
  note: (what: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let left: (typeof deck)[number][] = [];
  for (;;) {
    if (left.length === 0) left = shuffled(deck, random);
    const [what, pause, share, howLong] = [left.pop(), random(), random(), random()];
    if (!(await pauseFor(everyMs * (0.5 + pause), signal))) return;
    const longMs = Math.min(2_000 + howLong * 4_000, everyMs);
    note(what ?? "");
    const done =
      what === "terminate"
        ? targets.terminate(share)
        : what === "kill"
          ? targets.replace(share)
          : what === "freeze"
            ? targets.freeze(share, longMs)
            : what === "silence"
              ? targets.silence(longMs)
              : Promise.resolve(targets.cut());
    await done.catch(() => note(`${what} missed`));
  }
}

async function restart(
  run: () => Promise<unknown>,
  { durationMs }: FaultPlan,
  note: (what: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const since = performance.now();
  for (const at of restartsAt) {
    if (!(await pauseFor(at * durationMs - (performance.now() - since), signal))) return;
    note("restart");
    await run();
  }
}

/** False: the signal came first. */
async function pauseFor(ms: number, signal: AbortSignal): Promise<boolean> {
  await sleep(Math.max(0, ms), undefined, { signal }).catch(() => {});
  return !signal.aborted;
}

function shuffled<T>(from: readonly T[], random: () => number): T[] {
  return from
    .map((value) => ({ value, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
}
