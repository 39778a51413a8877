// Pgpool-II in front of a primary and a standby that lags for ever: what is read there is wrong. Where it is not installed these tests
// are skipped, loudly.
import { afterAll, expect, test } from "vitest";
import { type Cluster, type Standby, startCluster } from "../support/cluster.js";
import { createDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { type LoadBalance, startPgpool } from "../support/pgpool.js";
import type { PoolerProcess } from "../support/pooler-process.js";
import { everythingWorks } from "./everything-works.js";

const cluster: Cluster = await startCluster();
const standby: Standby = await cluster.createStandby();
const database = await createDatabase({ on: cluster });
await standby.caughtUp();
await standby.stopReceiving();

afterAll(async () => {
  await database.drop();
  await standby.destroy();
  await cluster.destroy();
});

function start(loadBalance: LoadBalance): Promise<PoolerProcess | undefined> {
  return startPgpool({ primary: cluster.url, standby: standby.url }, { loadBalance });
}

test("without load balancing everything works through it, with presence", async ({ skip }) => {
  await using pgpool = await start("off");
  if (!pgpool) return skip("Pgpool-II is not installed");
  await using one = openLocker(pgpool.url(database.url), { ttlMs: 5_000 });
  await using two = openLocker(pgpool.url(database.url), { ttlMs: 5_000 });

  await everythingWorks(database.sql, one, two, "off");

  expect((await database.sql`select from leasehold.sessions`).length).toBe(2);
});

test("an error is that of the statement which fails: no answer is mixed up", async ({ skip }) => {
  // it knows the passwords of new roles from who logs in
  const settings = { allow_clear_text_frontend_auth: true };
  await using pgpool = await startPgpool({ primary: cluster.url }, { loadBalance: "off", settings });
  if (!pgpool) return skip("Pgpool-II is not installed");
  // one in ten had the answers of Pgpool's own questions, when statements did not wait for each other; and Pgpool asks them for each new role
  for (let turn = 0; turn < 60; turn += 1) {
    const role = await createRole(database);
    await using stranger = openLocker(pgpool.url(role.url), { presence: turn % 2 === 0 ? "on" : "off" });
    await expect(stranger.forceRelease("anything")).rejects.toMatchObject({ name: "NotPermittedError" });
  }
});

test.for([["session"], ["statement"]] as const)(
  "with load balancing (by %s) presence is refused by name",
  async ([loadBalance], { skip }) => {
    await using pgpool = await start(loadBalance);
    if (!pgpool) return skip("Pgpool-II is not installed");
    await using locker = openLocker(pgpool.url(database.url));

    const error = await locker.ready().catch((reason: unknown) => reason);

    expect(error).toMatchObject({ name: "UnsafeBackendError", remedy: expect.stringContaining("directUrl") });
    expect(await database.sql`select from leasehold.sessions`).toHaveLength(0);
  },
);

test.for([["session"], ["statement"]] as const)(
  "with load balancing (by %s) and a direct address for the session, nothing is read from the standby",
  async ([loadBalance], { skip }) => {
    await using pgpool = await start(loadBalance);
    if (!pgpool) return skip("Pgpool-II is not installed");
    const options = { directUrl: database.url, ttlMs: 5_000 };
    await using one = openLocker(pgpool.url(database.url), options);
    await using two = openLocker(pgpool.url(database.url), options);

    await everythingWorks(database.sql, one, two, `direct by ${loadBalance}`);
  },
);
