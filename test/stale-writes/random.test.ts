import { expect, test } from "vitest";
import { startCluster } from "../support/cluster.js";
import { chooseSeed } from "../support/random.js";
import { causeChaos, clusterSettings } from "./chaos.js";

const SECONDS = process.env.LEASEHOLD_LONG ? 60 : 7;

test("under random freezes, kills, expiries, early releases and savepoints no guarded write is stale, and none is lost", {
  timeout: 600_000,
}, async () => {
  const seed = chooseSeed("random stale writes");
  await using cluster = await startCluster({ settings: clusterSettings });

  const { violations, writes, faults, counts } = await causeChaos({ cluster, seed, seconds: SECONDS });

  expect(violations).toEqual([]);
  // all of it did happen, or this test shows little
  expect(writes).toBeGreaterThan(20);
  expect(faults.frozen).toBeGreaterThan(0);
  expect(faults.killed).toBeGreaterThan(0);
  expect(counts["savepoint rolled back"]).toBeGreaterThan(0);
  expect((counts.LH001 ?? 0) + (counts["stale-fence"] ?? 0)).toBeGreaterThan(0);
});
