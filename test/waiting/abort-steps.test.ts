import { getEventListeners } from "node:events";
import { beforeAll, expect, test } from "vitest";
import { HeldLock } from "../../src/hold/held-lock.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { openHookedLocker, type Step } from "./hooked-backend.js";
import { untilQueued } from "./queue.js";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

const left = async () => ({
  leases: (await database.sql`select key from leasehold.leases where token is not null`).map(({ key }) => key),
  waiters: (await database.sql`select key from leasehold.waiters`).map(({ key }) => key),
});

/** Runs the scene once for every step of the protocol, and aborts there. How many steps that were. */
async function abortAtEveryStep(scene: Scene, presence: "on" | "off", isReady: boolean): Promise<Step[]> {
  const seen: Step[] = [];
  for (let n = 0; ; n += 1) {
    seen.length = 0;
    const controller = new AbortController();
    const reason = new Error(`aborted at step ${n}`);
    const onStep = (step: Step): void => {
      seen.push(step);
      if (seen.length - 1 === n) controller.abort(reason);
    };
    let isWatched = !isReady;
    const watched = (step: Step): void => void (isWatched && onStep(step));
    await using locker = openHookedLocker({ url: database.url, presence, waitMs: 20_000 }, watched);
    if (isReady) await locker.ready();
    isWatched = true;

    const result = await scene(() =>
      locker.acquire("steps", { signal: controller.signal }).catch((error: unknown) => error),
    );
    const stepsSeen = seen.length;
    // Either it was granted before the abort came, or it is the signal's own reason.
    if (result instanceof HeldLock) await result.release();
    else expect(result, `step ${n}`).toBe(reason);
    await locker.close();

    expect(await left(), `after an abort at step ${n} (${JSON.stringify(seen[n])})`).toEqual({
      leases: [],
      waiters: [],
    });
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    if (n >= stepsSeen) return seen;
  }
}

type Scene = (acquire: () => Promise<unknown>) => Promise<unknown>;

const free: Scene = (acquire) => acquire();

const waited: Scene = async (acquire) => {
  await using holder = openLocker(database);
  const held = await holder.acquire("steps");
  const acquiring = acquire();
  const settled = acquiring.then(() => true);
  await Promise.race([settled, untilQueued(database, "steps", 1)]);
  await held.release();
  return await acquiring;
};

/** The row is locked by a stranger for a while, so that attempts are answered busy. */
const busy: Scene = async (acquire) => {
  await database.sql`insert into leasehold.leases (key, fence, ttl_ms) values ('steps', 0, 0) on conflict do nothing`;
  const acquiring = database.sql.begin(async (sql) => {
    await sql`select from leasehold.leases where key = 'steps' for update`;
    const result = acquire();
    await Promise.race([result, new Promise((resolve) => setTimeout(resolve, 150))]);
    return { result };
  });
  return await (await acquiring).result;
};

test.for([
  ["a free key", free],
  ["a key that is waited for", waited],
  ["a key whose row is busy", busy],
] as const)("abort after every step of the protocol leaves nothing: %s", { timeout: 180_000 }, async ([, scene]) => {
  for (const presence of ["on", "off"] as const) {
    const steps = await abortAtEveryStep(scene, presence, false);
    expect(steps.map(({ call, at }) => `${call} ${at}`)).toEqual(
      expect.arrayContaining(["open asked", "open answered", "acquire asked", "acquire sent", "acquire answered"]),
    );
    const stepsOnceReady = await abortAtEveryStep(scene, presence, true);
    expect(stepsOnceReady.map(({ call, at }) => `${call} ${at}`)).toEqual(
      expect.arrayContaining(["attempt asked", "attempt sent", "attempt answered"]),
    );
  }
});
