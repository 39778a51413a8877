// The nemesis stops servers, and others take ports meanwhile: once in a thousand rounds, until this was seen to.
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { startCluster } from "../support/cluster.js";

test("a server comes back on its port, also when somebody else had it for a while", async () => {
  await using cluster = await startCluster();
  await cluster.stop("immediate");
  const other = createServer().listen(cluster.port, "127.0.0.1");
  await once(other, "listening");

  let isBack = false;
  const starting = cluster.start().then(() => {
    isBack = true;
  });
  await sleep(500);
  const wasBackEarly = isBack;
  other.close();
  await starting;

  const sql = await cluster.sql();
  expect(wasBackEarly).toBe(false);
  expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
});
