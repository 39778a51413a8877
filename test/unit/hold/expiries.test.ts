// What it costs to notice in time that leases expire: a lock that is released or far from its end has no timer.
import { expect, test } from "vitest";
import { gone, released } from "../fake-backend.js";
import { clock, settle } from "../manual-clock.js";
import { openFake } from "../open.js";
import { watch } from "../outcome.js";
import { hold } from "./held.js";

test("short locks that are released leave no timers, and none fires for them", async () => {
  const opened = openFake({ keepAlive: false, ttlMs: 400 });
  const { backend, close } = opened;
  backend.releases.reply = () => released;
  const before = clock.fired;
  for (let n = 0; n < 50; n += 1) {
    const lock = await hold(opened, `key ${n}`);
    await clock.pass(1);
    const release = watch(lock.release());
    await settle();
    release.result;
  }
  // one for the deadlines of all attempts, and one for those of all releases
  expect([clock.timers, clock.fired - before]).toEqual([2, 0]);
  await close();
});

test("long locks are looked at when one comes near its end, and then only that one has a timer of its own", async () => {
  const opened = openFake({ keepAlive: false, onLost: () => undefined });
  const { backend, close } = opened;
  backend.abandons.reply = () => gone;
  for (let n = 0; n < 50; n += 1) await hold(opened, `long ${n}`, { ttlMs: 60_000 });
  const before = clock.fired;
  await clock.pass(1_000);
  expect([clock.timers, clock.fired - before]).toEqual([2, 0]); // with one for the deadlines of all attempts
  const short = await hold(opened, "short", { ttlMs: 1_000 });
  await clock.pass(600);
  expect(clock.timers).toBe(3);
  await clock.pass(400);
  expect(short.signal.reason).toMatchObject({ reason: "expired" });
  await close();
});
