// What a set says of its locks, and that each of them is held once.
import { expect, test } from "vitest";
import { gone, released } from "../fake-backend.js";
import { clock, settle } from "../manual-clock.js";
import { openFake } from "../open.js";
import { watch } from "../outcome.js";
import { holdAll } from "./held.js";

test("a set is held while all of its locks are; a signal that is first read after a loss has fired", async () => {
  const opened = openFake({ keepAlive: false, onLost: () => undefined });
  const { backend, close } = opened;
  backend.abandons.reply = () => gone;
  const watched = await holdAll(opened, ["a", "b"]);
  const unread = await holdAll(opened, ["c", "d"]);
  const { signal } = watched;
  expect([watched.held, unread.held, signal.aborted]).toEqual([true, true, false]);
  for (const key of ["b", "d"]) {
    const renewal = watch(opened.locker.get(key)?.renew() ?? Promise.resolve());
    await settle();
    backend.renewals.take().answer({ outcome: "lost", reason: "forced" });
    await settle();
    expect(renewal.state).toBe("rejected");
  }
  expect([watched.held, unread.held]).toEqual([false, false]);
  expect(watched.signal).toBe(signal);
  expect([signal.reason, unread.signal.reason]).toMatchObject([{ key: "b" }, { key: "d" }]);
  await close();
});

test("a set that is whole is renewed once for each key, and its locker rests after the last release", async () => {
  const opened = openFake({ ttlMs: 9_000, idleTimeoutMs: 20_000 });
  const { backend, locker, close } = opened;
  backend.renewals.reply = () => backend.renewed(9_000);
  backend.releases.reply = () => released;
  const set = await holdAll(opened, ["a", "b"]);
  await clock.pass(9_500);
  expect(backend.renewals.count).toBe(2 * 3);
  const release = watch(set.release());
  await clock.pass(19_000);
  release.result;
  expect([locker.locks(), backend.rests]).toEqual([[], 0]);
  await clock.pass(21_000);
  // nothing of it was kept that could have a last word
  expect([backend.rests, backend.renewals.count, backend.abandons.count]).toEqual([1, 2 * 3, 0]);
  await close();
});

test("a set that lost a part on its way keeps its locker from resting until the last of its locks is released", async () => {
  const opened = openFake({ ttlMs: 9_000, idleTimeoutMs: 1_000, waitMs: 60_000 });
  const { backend, locker, close } = opened;
  backend.releases.reply = () => released;
  backend.abandons.reply = () => released;
  backend.renewals.reply = ({ key }) => (key === "a" ? { outcome: "lost", reason: "forced" } : backend.renewed(9_000));
  backend.looks.reply = () => backend.queued();
  const call = watch(locker.acquireAll(["a", "b"]));
  const grant = () => backend.granted(9_000);
  for (const count of [0, 1]) {
    await settle();
    const missing = { index: count, answer: { outcome: "held", holder: null } } as const;
    backend.sets.take().answer({ outcome: "answered", grants: count === 0 ? [] : [grant()], missing });
  }
  await settle();
  backend.attempts.take().answer(backend.queued()); // in line for "b", with "a" held
  await clock.pass(3_500); // "a" is lost, and it begins again
  backend.renewals.reply = () => backend.renewed(9_000);
  backend.sets.take().answer({ outcome: "answered", grants: [grant(), grant()], missing: null });
  await settle();
  const set = call.result;
  const release = watch(locker.get("a")?.release() ?? Promise.resolve());
  await clock.pass(30_000);
  release.result;
  expect([set.get("b")?.held, backend.rests]).toEqual([true, 0]);
  await close();
});
