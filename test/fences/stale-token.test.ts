import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { releaseRows, renewRows } from "../support/acts.js";
import { createDatabase } from "../support/database.js";
import { leaseRow, tokenOf } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

/**
 * The statements that a client sends, as somebody with nothing but these would send them: alone and in a batch, which go
 * different ways in the function.
 */
async function send(what: "release" | "renew", key: string, token: string, fence: bigint): Promise<string> {
  const outcomes: string[] = [];
  for (const fillers of [[], ["filler-1", "filler-2"]]) {
    const items = [...fillers, key].map((name) => ({ key: name, token: name === key ? token : randomUUID(), fence }));
    const rows = what === "release" ? releaseRows(items) : renewRows(items);
    const answers = await sql.unsafe(`select item, outcome from ${rows} a`);
    expect(answers).toHaveLength(items.length);
    outcomes.push(answers.find(({ item }) => item === items.length)?.outcome);
  }
  expect(outcomes[1]).toBe(outcomes[0]);
  return outcomes[0] as string;
}

test("who was replaced can neither renew nor release, by the handle or by its token and fence", async () => {
  await using locker = openLocker(database, { presence: "off" });
  const old = await locker.acquire("a", { ttlMs: 1_000, keepAlive: false });
  const oldToken = await tokenOf(sql, "a");
  const current = await locker.acquire("a", { ttlMs: 60_000 });
  const before = await leaseRow(sql, "a");
  const token = await tokenOf(sql, "a");
  const lost = { name: "LeaseLostError", code: "lease-lost" };

  await expect(old.renew()).rejects.toMatchObject(lost);
  await expect(old.release()).rejects.toMatchObject(lost);
  expect(await send("renew", "a", oldToken, old.fence)).toBe("lost");
  expect(await send("release", "a", oldToken, old.fence)).toBe("gone");
  // the fence must match as well as the token, for a retried acquire has one token and two grants
  expect(await send("renew", "a", token, old.fence)).toBe("lost");
  expect(await send("release", "a", token, old.fence)).toBe("gone");
  expect(await send("renew", "a", randomUUID(), current.fence)).toBe("lost");
  expect(await send("release", "a", randomUUID(), current.fence)).toBe("gone");

  const after = await leaseRow(sql, "a");
  expect(after).toEqual({ ...before, now: after.now });
  expect(current.held).toBe(true);
  await current.release();
});

test("what has expired stays lost though nobody took it: no renewal brings it back, by the handle or by token and fence", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url));
  const lock = await locker.acquire("expired", { ttlMs: 1_000, keepAlive: false });
  const token = await tokenOf(sql, "expired");
  // else the client would let go of it when it notices
  proxy.blackhole("both");
  await until("it has expired on the server", async () => {
    const { now, expiresAt } = await leaseRow(sql, "expired");
    return now > expiresAt;
  });
  const before = await leaseRow(sql, "expired");
  expect(before.token).toBe(token);

  expect(await send("renew", "expired", token, lock.fence)).toBe("lost");
  await expect(lock.renew()).rejects.toMatchObject({ name: "LeaseLostError", reason: "expired" });
  await expect(lock.release()).rejects.toMatchObject({ name: "LeaseLostError", reason: "expired" });

  expect(lock.held).toBe(false);
  expect((await leaseRow(sql, "expired")).expiresAt).toBe(before.expiresAt);
  proxy.heal();
  expect(await locker.isLocked("expired")).toBe(false);
});

test("a renewal never shortens a lease, and after a release none is sent any more", async () => {
  await using locker = openLocker(database, { ttlMs: 30_000 });
  const lock = await locker.acquire("shrink", { keepAlive: false });
  const before = await leaseRow(sql, "shrink");
  const token = await tokenOf(sql, "shrink");

  await lock.renew(1_000);
  const shorter = await leaseRow(sql, "shrink");
  await lock.renew(60_000);
  const longer = await leaseRow(sql, "shrink");
  await lock.release();

  expect(shorter.expiresAt).toBe(before.expiresAt);
  expect(longer.expiresAt).toBeGreaterThan(before.expiresAt);
  expect(await send("renew", "shrink", token, lock.fence)).toBe("lost");
  await expect(lock.renew()).rejects.toMatchObject({ code: "not-held" });
  expect((await leaseRow(sql, "shrink")).token).toBeNull();
});
