// Adopting: what is asked, for how long the lock is believed, and what is left when there is no answer.
import { expect, test } from "vitest";
import { InvalidOptionError, LeaseLostError, NotHeldError, UnavailableError } from "../../src/errors/errors.js";
import type { DetachedLock, Lock } from "../../src/index.js";
import type { AdoptAnswer } from "../../src/store/messages.js";
import { badPassword, noAnswer, notSent, released } from "./fake-backend.js";
import { clock, settle } from "./manual-clock.js";
import { type Opened, openFake } from "./open.js";
import { watch } from "./outcome.js";

const token = "b9d64f4c-9ae4-4d9a-8f5e-1f9b2f0d6c11";
const detached: DetachedLock = { key: "a", token, fence: "77", instance: null };

async function adopted(opened: Opened, answer: AdoptAnswer = opened.backend.adopted()): Promise<Lock> {
  const call = watch(opened.locker.adopt(detached));
  await settle();
  opened.backend.adoptions.take().answer(answer);
  await settle();
  return call.result;
}

test("it is asked for by key, token and fence, under a new token, until a deadline", async () => {
  const opened = openFake({ requestTimeoutMs: 5_000, ttlMs: 20_000, maxHoldMs: 90_000, owner: "me" });
  const { locker, backend, close } = opened;
  backend.clockAheadMs = 3_600_000;
  const call = watch(locker.adopt({ ...detached, token: token.toUpperCase(), fence: 77n }, { ttlMs: 10_000 }));
  await settle();
  const { request } = backend.adoptions.take();
  expect(request).toEqual({
    key: "a",
    token,
    fence: 77n,
    newToken: expect.stringMatching(/^[0-9a-f-]{36}$/),
    terms: expect.objectContaining({ owner: "me", ttlMs: 10_000, maxHoldMs: 90_000 }),
    notAfterMs: clock.wallMs + 3_600_000 + 5_000,
  });
  expect(request.newToken).not.toBe(token);
  expect(backend.openCount).toBe(1);
  await clock.pass(10_000);
  expect(call.state).toBe("rejected");
  await close();
});

test("the lock has the fence that was given, and what its row says", async () => {
  const opened = openFake({ owner: "me", metadata: "mine", maxHoldMs: 1_000_000 });
  const { backend, locker, close } = opened;
  const acquiredAtMs = clock.wallMs - 5_000;
  const answer = backend.adopted(30_000, {
    metadata: '{"job":7}',
    acquiredAtMs,
    maxHoldUntilMs: acquiredAtMs + 40_000,
  });
  const lock = await adopted(opened, answer);
  expect(lock).toMatchObject({ key: "a", fence: 77n, owner: "me", ttlMs: 30_000, metadata: { job: 7 }, held: true });
  expect(lock.acquiredAt).toEqual(new Date(acquiredAtMs));
  expect(lock.heldMs).toBe(5_000);
  expect(locker.locks()).toEqual([lock]);
  expect("token" in lock).toBe(false);
  await close();
});

test("it is believed by both clocks, for no longer than the answer says", async () => {
  for (const pass of [() => clock.pass(10_000), async () => clock.suspend(10_000), async () => clock.block(10_000)]) {
    const opened = openFake({ keepAlive: false });
    const { backend, close } = opened;
    const lock = await adopted(opened, backend.adopted(10_000));
    expect(lock.remainingMs).toBe(10_000);
    await pass();
    expect(lock.held).toBe(false);
    expect(() => lock.assertHeld()).toThrow(LeaseLostError);
    await close();
  }
});

test("an answer that took longer than the lease lasts is no lock, and what it adopted is freed", async () => {
  const { locker, backend, close } = openFake();
  const call = watch(locker.adopt(detached, { ttlMs: 1_000 }));
  await settle();
  const asked = backend.adoptions.take();
  const answer = backend.adopted(1_000);
  await clock.pass(1_500);
  asked.answer(answer);
  await settle();
  expect(call.error).toMatchObject({ code: "unavailable", outcome: "unknown" });
  expect(locker.locks()).toEqual([]);
  expect(backend.abandons.take().request).toMatchObject({ token: asked.request.newToken, wasHeld: true });
  await close();
});

test("it is renewed and released under its new token", async () => {
  const opened = openFake({ ttlMs: 30_000 });
  const { backend, locker, close } = opened;
  const call = watch(locker.adopt(detached));
  await settle();
  const asked = backend.adoptions.take();
  const { newToken } = asked.request;
  asked.answer(backend.adopted());
  await settle();
  await clock.pass(10_000);
  const renewal = backend.renewals.take();
  expect(renewal.request).toMatchObject({ token: newToken, fence: 77n, askedTtlMs: 30_000 });
  renewal.answer(backend.renewed());
  const release = watch(call.result.release());
  await settle();
  const { request } = backend.releases.take();
  expect(request).toMatchObject({ token: newToken, fence: 77n });
  request.onAnswer(released);
  await settle();
  release.result;
  expect(backend.abandons.count).toBe(0);
  await close();
});

test("an adoption of which an attempt had no answer is released by its token alone", async () => {
  const { backend, locker, close } = openFake({ requestTimeoutMs: 5_000, keepAlive: false });
  const call = watch(locker.adopt(detached));
  await settle();
  const first = backend.adoptions.take();
  first.fail(noAnswer());
  await clock.pass(100);
  const second = backend.adoptions.take();
  expect(second.request.newToken).toBe(first.request.newToken);
  second.answer(backend.adopted());
  await settle();
  await clock.pass(5_100);
  const release = watch(call.result.release());
  await settle();
  const abandon = backend.abandons.take();
  expect(abandon.request).toMatchObject({ token: first.request.newToken, wasHeld: true, isDoubted: true });
  abandon.answer(released);
  await settle();
  release.result;
  expect(backend.releases.count).toBe(0);
  await close();
});

test("without an answer it rejects, and what may have been adopted is freed once no attempt can run any more", async () => {
  const { backend, locker, close } = openFake({ requestTimeoutMs: 2_000 });
  const call = watch(locker.adopt(detached));
  await clock.pass(2_000);
  const asked = backend.adoptions.take();
  expect(call.error).toMatchObject({ code: "unavailable", outcome: "unknown" });
  expect(backend.abandons.count).toBe(0);
  asked.fail(noAnswer());
  await clock.pass(100);
  const abandon = backend.abandons.take();
  expect(abandon.request).toEqual({ key: "a", token: asked.request.newToken, wasHeld: true, isDoubted: true });
  abandon.answer(released);
  await settle();
  await close();
});

test("what was not sent leaves nothing to clean up", async () => {
  const { backend, locker, close } = openFake({ requestTimeoutMs: 1_000 });
  backend.adoptions.reply = () => notSent();
  const call = watch(locker.adopt(detached));
  await clock.pass(1_100);
  expect(call.error).toMatchObject({ code: "unavailable", outcome: "not-sent" });
  await clock.pass(10_000);
  expect(backend.abandons.count).toBe(0);
  await close();
});

test("an address that has never worked is told at once", async () => {
  const { backend, locker, close } = openFake();
  backend.wasReady = false;
  backend.opening = Promise.reject(notSent());
  const call = watch(locker.adopt(detached));
  await settle();
  expect(call.error).toMatchObject({ code: "unavailable", outcome: "not-sent" });
  await close();
});

test("late, unproven and busy are asked again; a row that stays locked is told, with who has it", async () => {
  const { backend, locker, close } = openFake({ requestTimeoutMs: 1_000 });
  const call = watch(locker.adopt(detached));
  await settle();
  for (const outcome of ["late", "unproven"] as const) {
    backend.adoptions.take().answer({ outcome });
    await clock.pass(200);
  }
  backend.adoptions.reply = () => ({ outcome: "busy", blockingPid: 4242 });
  backend.adoptions.take().answer({ outcome: "busy", blockingPid: 4242 });
  await clock.pass(1_000);
  expect(call.error).toBeInstanceOf(UnavailableError);
  expect(call.error).toMatchObject({ outcome: "not-sent", message: expect.stringContaining("server process 4242") });
  expect(backend.abandons.count).toBe(0);
  await close();
});

test.each([
  ["late", "each request came after its time was up"],
  ["unproven", "the connection that shows that this process lives is being made again"],
] as const)("one that stays %s is told as what it is, and not as a row that is locked", async (outcome, words) => {
  const { backend, locker, close } = openFake({ requestTimeoutMs: 1_000 });
  backend.adoptions.reply = () => ({ outcome });
  const call = watch(locker.adopt(detached));
  await clock.pass(1_000);
  expect(call.error).toMatchObject({
    code: "unavailable",
    outcome: "not-sent",
    message: expect.stringContaining(words),
  });
  await close();
});

test.each([
  ["came too late", "not-sent"],
  ["had no answer", "unknown"],
] as const)("a row that is locked is told, also when the last request %s", async (_, outcome) => {
  const { backend, locker, close } = openFake({ requestTimeoutMs: 1_000 });
  const call = watch(locker.adopt(detached));
  await settle();
  backend.adoptions.take().answer({ outcome: "busy", blockingPid: 7 });
  await clock.pass(10);
  if (outcome === "not-sent") {
    backend.adoptions.reply = () => ({ outcome: "late" });
    backend.adoptions.take().answer({ outcome: "late" });
  }
  await clock.pass(1_000);
  expect(call.error).toMatchObject({
    ...{ code: "unavailable", outcome },
    message: expect.stringContaining("the open transaction of server process 7 has its row locked"),
  });
  backend.abandons.reply = () => ({ outcome: "gone", reason: null });
  await close();
});

test.each(["expired", "taken", "max-hold", "forced"] as const)(
  "a lock that has ended is a LeaseLostError: %s",
  async (reason) => {
    const { backend, locker, close } = openFake();
    const call = watch(locker.adopt(detached));
    await settle();
    backend.adoptions.take().answer({ outcome: "lost", reason });
    await settle();
    expect(call.error).toBeInstanceOf(LeaseLostError);
    expect(call.error).toMatchObject({ reason, key: "a", fence: 77n });
    expect([locker.locks(), backend.abandons.count]).toEqual([[], 0]);
    await close();
  },
);

test.each([
  ["psql", '"psql" holds it'],
  [null, "an unnamed owner holds it"],
] as const)("one that its holder has not let go of is a NotHeldError (%s)", async (owner, words) => {
  const { backend, locker, close } = openFake();
  const call = watch(locker.adopt(detached));
  await settle();
  backend.adoptions.take().answer({ outcome: "attached", owner });
  await settle();
  expect(call.error).toBeInstanceOf(NotHeldError);
  expect(call.error).not.toBeInstanceOf(LeaseLostError);
  expect((call.error as Error).message).toContain(words);
  expect(backend.abandons.count).toBe(0);
  await close();
});

test("a refusal after an attempt that had no answer cleans up after that one", async () => {
  const { backend, locker, close } = openFake({ requestTimeoutMs: 2_000 });
  const call = watch(locker.adopt(detached));
  await settle();
  const { newToken } = backend.adoptions.waiting[0]?.request ?? {};
  backend.adoptions.take().fail(noAnswer());
  await clock.pass(100);
  backend.adoptions.take().answer({ outcome: "attached", owner: "psql" });
  await settle();
  expect(call.error).toBeInstanceOf(NotHeldError);
  await clock.pass(2_100);
  expect(backend.abandons.take().request.token).toBe(newToken);
  await close();
});

test("a lock that arrives when the locker is closing is freed, and close() waits for that", async () => {
  const { backend, locker } = openFake();
  const call = watch(locker.adopt(detached));
  await settle();
  const asked = backend.adoptions.take();
  const closing = watch(locker.close());
  await clock.pass(100);
  expect(closing.state).toBe("pending");
  asked.answer(backend.adopted());
  await settle();
  expect(call.error).toMatchObject({ code: "closed" });
  expect(closing.state).toBe("pending");
  const abandon = backend.abandons.take();
  expect(abandon.request).toMatchObject({ token: asked.request.newToken, isDoubted: false });
  abandon.answer(released);
  await clock.pass(10);
  closing.result;
  await expect(locker.adopt(detached)).rejects.toMatchObject({ code: "closed" });
});

test("under a session that was replaced before the answer came it is proven first", async () => {
  const opened = openFake({ keepAlive: false });
  const { backend, locker, close } = opened;
  const call = watch(locker.adopt(detached));
  await settle();
  const answer = backend.adopted();
  backend.reconnect();
  backend.adoptions.take().answer(answer);
  await settle();
  const lock = call.result;
  expect(lock.held).toBe(false);
  await clock.pass(1);
  backend.renewals.take().answer(backend.renewed());
  await settle();
  expect(lock.held).toBe(true);
  await close();
});

test.each([
  ["lock", {}, null],
  ["share", { capacity: 2 }, { capacity: 2, weight: 1 }],
] as const)(
  "a %s that was handed on without a word to its handle here, and comes back with its fence, ends that handle",
  async (_, options, share) => {
    const opened = openFake({ keepAlive: false, onLost: () => undefined });
    const { locker, backend, close } = opened;
    const call = watch(locker.acquire("a", options));
    backend.attempts.take().answer(backend.granted(30_000, { fence: 77n }));
    await settle();
    const before = call.result;
    // detached by SQL, say, and once more by who adopted it then
    const lock = await adopted(opened, backend.adopted(30_000, { share }));
    expect(lock.fence).toBe(before.fence);
    expect([before.held, before.signal.reason, lock.held]).toMatchObject([false, { reason: "taken" }, true]);
    expect(locker.locks("a")).toEqual([lock]);
    await close();
  },
);

test("an adopted lock that is lost says its last word under its own token", async () => {
  const opened = openFake({ keepAlive: false });
  const { backend, locker, close } = opened;
  const call = watch(locker.adopt(detached, { ttlMs: 1_000 }));
  await settle();
  const asked = backend.adoptions.take();
  asked.answer(backend.adopted(1_000));
  await settle();
  const { signal } = call.result;
  await clock.pass(1_000);
  expect(signal.reason).toMatchObject({ reason: "expired" });
  expect(backend.abandons.take().request.token).toBe(asked.request.newToken);
  await close();
});

const wrong: readonly (readonly [option: string, value: unknown, expected: string])[] = [
  ["detached", undefined, "what lock.detach() resolved to: { key, token, fence }"],
  ["detached", null, "what lock.detach() resolved to: { key, token, fence }"],
  ["detached", JSON.stringify(detached), "what lock.detach() resolved to: { key, token, fence }"],
  ["detached", [detached], "what lock.detach() resolved to: { key, token, fence }"],
  ["detached", Promise.resolve(detached).then, "what lock.detach() resolved to: { key, token, fence }"],
  ["detached.key", { ...detached, key: undefined }, "a string"],
  ["detached.key", { ...detached, key: "" }, "text that is not empty"],
  ["detached.key", { ...detached, key: "k".repeat(513) }, "at most 512 bytes in UTF-8"],
  ["detached.token", { ...detached, token: undefined }, "a uuid"],
  ["detached.token", { ...detached, token: `${token}0` }, "a uuid"],
  ["detached.token", { ...detached, token: 7 }, "a uuid"],
  ["detached.fence", { ...detached, fence: undefined }, "a fence: a bigint of 1 and up, or its decimal digits"],
  ["detached.fence", { ...detached, fence: 77 }, "a fence: a bigint of 1 and up, or its decimal digits"],
  ["detached.fence", { ...detached, fence: "0x4d" }, "a fence: a bigint of 1 and up, or its decimal digits"],
  ["detached.fence", { ...detached, fence: "" }, "a fence: a bigint of 1 and up, or its decimal digits"],
  ["detached.fence", { ...detached, fence: "0" }, "a fence: a bigint of 1 and up, or its decimal digits"],
  [
    "detached.fence",
    { ...detached, fence: "9223372036854775808" },
    "a fence: a bigint of 1 and up, or its decimal digits",
  ],
  ["detached.instance", { ...detached, instance: 7 }, "text of 1 to 256 bytes without NUL and lone surrogates"],
  ["detached.instance", { ...detached, instance: "" }, "text of 1 to 256 bytes without NUL and lone surrogates"],
];

test.each(wrong)(
  "%s: what is no detached lock is refused, and never shown with its token (%#)",
  async (option, value, expected) => {
    const { locker, backend, close } = openFake();
    const error = await locker.adopt(value as DetachedLock).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error).toMatchObject({ option, expected });
    expect(JSON.stringify(error) + String(error)).not.toContain(token.slice(0, 8));
    expect(backend.adoptions.count).toBe(0);
    await close();
  },
);

test("what else came with the data is left alone, and so is the name of an instance where there is none", async () => {
  const opened = openFake();
  const call = watch(opened.locker.adopt({ ...detached, instance: "eu", sentBy: "queue" } as DetachedLock));
  await settle();
  opened.backend.adoptions.take().answer(opened.backend.adopted());
  await settle();
  expect(call.result.held).toBe(true);
  await opened.close();
});

test.each([
  ["ttlMs", 1],
  ["keepAlive", "yes"],
  ["renewEveryMs", 30_000],
  ["maxHoldMs", 0],
  ["guardTimeoutMs", 1],
  ["owner", ""],
  ["onLost", null],
  ["metadata", "other"],
  ["minHoldMs", 5],
  ["waitMs", 5],
] as const)("the option %s is checked as elsewhere, or there is no such option", async (option, value) => {
  const { locker, close } = openFake();
  const error = await locker.adopt(detached, { [option]: value } as object).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(InvalidOptionError);
  expect(error).toMatchObject({ option });
  await close();
});

test.each(["answered too late", "released without an answer"])(
  "the last word of a lock that was adopted and %s goes on after an error that passes",
  async (how) => {
    const { locker, backend, close } = openFake({
      requestTimeoutMs: 1_000,
      keepAlive: false,
      onError: () => undefined,
    });
    const call = watch(locker.adopt(detached));
    await settle();
    const asked = backend.adoptions.take();
    let abandons = 0;
    backend.abandons.reply = () => {
      abandons += 1;
      return abandons === 1 ? badPassword() : released;
    };
    if (how === "answered too late") {
      await clock.pass(1_000);
      expect(call.error).toBeInstanceOf(UnavailableError);
      asked.answer(backend.adopted());
    } else {
      asked.answer(backend.adopted());
      await settle();
      backend.releases.reply = () => badPassword();
      const release = watch(call.result.release());
      await clock.pass(100);
      expect(release.state).toBe("rejected");
    }
    await clock.pass(5_000);
    expect(abandons).toBe(2);
    await close();
  },
);
