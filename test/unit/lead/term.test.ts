// How a term of `lead` ends, by what its body does and when.
import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { LeaseLostError, NotHeldError, ReentryError, StaleFenceError } from "../../../src/index.js";
import { gone, released } from "../fake-backend.js";
import { clock, settle as turn } from "../manual-clock.js";
import { openFake } from "../open.js";
import { watch } from "../outcome.js";
import { type Begun, openStage, settle } from "./bodies.js";

test("a body that returns while it leads resigns: lead resolves to its value, and the key is free", async () => {
  await using stage = openStage();
  const lead = watch(stage.locker.lead("a", stage.body));
  await settle();
  expect(stage.last.lock.held).toBe(true);
  stage.last.returns("done");
  await settle();
  expect(lead.result).toBe("done");
  expect(await stage.locker.check("a")).toBeNull();
  expect(await stage.locker.lead("a", () => 7)).toBe(7); // one that is not asynchronous
});

test("a body that throws while it leads ends lead with that, and the key is free", async () => {
  await using stage = openStage();
  const error = new Error("broken");
  const throwing = (): never => {
    throw error;
  };
  await expect(stage.locker.lead("a", throwing)).rejects.toBe(error);
  const another = new LeaseLostError({ key: "b", fence: 1n });
  let terms = 0;
  const about = (): unknown => {
    terms += 1;
    return terms > 1 ? "led again" : Promise.reject(another);
  };
  await expect(stage.locker.lead("a", about)).rejects.toBe(another);
  expect(await stage.locker.check("a")).toBeNull();
  expect(stage.begun).toHaveLength(0);
  expect(stage.errors).toEqual([]);
});

test("after a loss the body's signal fires with it, and lead campaigns again, but not before the body has ended", async () => {
  await using stage = openStage();
  const lead = watch(stage.locker.lead("a", stage.body));
  await settle();
  const first = stage.last;
  stage.faults.lose("a", "forced");
  expect(first.signal.reason).toMatchObject({ name: "LeaseLostError", reason: "forced", fence: first.lock.fence });

  await stage.clock.advance(3_600_000); // it ignores its signal
  expect(stage.begun).toHaveLength(1);
  expect(await stage.locker.check("a")).toBeNull();
  first.returns("too late");
  await settle();

  expect(stage.begun).toHaveLength(2);
  expect(stage.last.lock.fence).toBeGreaterThan(first.lock.fence);
  expect(stage.last.signal.aborted).toBe(false);
  expect(lead.state).toBe("pending");
  stage.last.returns("in time");
  await settle();
  expect(lead.result).toBe("in time");
  const { acquired, released, lost } = stage.locker.stats();
  expect([acquired, released, lost.forced]).toEqual([2, 1, 1]);
});

const thrown: Readonly<Record<string, (body: Begun) => unknown>> = {
  "the loss": ({ signal }) => signal.reason,
  "an abort that Node made of it": ({ signal }) =>
    new DOMException("aborted", { name: "AbortError", cause: signal.reason }),
  "an error that wraps it": ({ signal }) => new Error("no query", { cause: signal.reason }),
  "Postgres's word for it": ({ lock: { key, fence } }) => new StaleFenceError({ key, fence }),
};

test.each(Object.entries(thrown))("after a loss, %s is nothing to tell", async (_, errorOf) => {
  await using stage = openStage();
  const lead = watch(stage.locker.lead("a", stage.body));
  await settle();
  stage.faults.lose("a");
  stage.last.throws(errorOf(stage.last));
  await settle();
  expect(stage.begun).toHaveLength(2);
  expect(stage.errors).toEqual([]);
  stage.last.returns();
  await settle();
  expect(lead.result).toBeUndefined();
});

test.each([
  new Error("broken"),
  new StaleFenceError({ key: "b", fence: 1n }),
  new NotHeldError({ key: "a", fence: 0n }),
])("what a body throws after a loss, and is something else, is told to onError: %o", async (error) => {
  await using stage = openStage();
  const lead = watch(stage.locker.lead("a", stage.body));
  await settle();
  stage.faults.lose("a");
  stage.last.throws(error);
  await settle();
  expect(stage.begun).toHaveLength(2);
  expect(stage.errors).toEqual([error]);
  stage.last.returns();
  await settle();
  expect(lead.result).toBeUndefined();
});

test("without onError that is a process warning", async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error): void => void warnings.push(warning);
  process.on("warning", warned);
  await using stage = openStage({ onError: undefined });
  const lead = watch(stage.locker.lead("a", stage.body));
  await settle();
  stage.faults.lose("a");
  stage.last.throws(new Error("broken"));
  await settle();
  process.off("warning", warned);
  stage.last.returns();
  await settle();
  expect(warnings).toMatchObject([{ message: "broken" }]);
  expect(lead.state).toBe("resolved");
});

test("a body that knows first that its grant has ended ends its term alone", async () => {
  await using stage = openStage();
  const lead = watch(stage.locker.lead("a", stage.body));
  await settle();
  const { key, fence } = stage.last.lock;
  stage.last.throws(new Error("rolled back", { cause: new StaleFenceError({ key, fence }) }));
  await settle();
  expect(stage.last.lock.fence).toBeGreaterThan(fence);
  stage.last.throws(new NotHeldError({ key, fence: stage.last.lock.fence, message: "unproven" }));
  await settle();
  expect(stage.begun).toHaveLength(3);
  expect(stage.errors).toEqual([]);
  stage.last.returns("done");
  await settle();
  expect(lead.result).toBe("done");
});

test("a body that has released its lock itself ends lead, whatever it does then", async () => {
  await using stage = openStage();
  const value = await stage.locker.lead("a", async (lock) => {
    await lock.release();
    return "let go";
  });
  expect(value).toBe("let go");
  let terms = 0;
  const lead = stage.locker.lead("a", async (lock) => {
    terms += 1;
    if (terms > 1) return;
    await lock.release();
    lock.assertHeld();
  });
  await expect(lead).rejects.toBeInstanceOf(NotHeldError);
});

test.each(["returns", "throws"] as const)(
  "a loss that only the release finds is one, too, of a body that %s",
  async (how) => {
    const errors: unknown[] = [];
    const { locker, backend, close } = openFake({ keepAlive: false, onError: (error) => errors.push(error) });
    const fences: bigint[] = [];
    const lead = watch(
      locker.lead("a", ({ fence }) => {
        fences.push(fence);
        if (how === "throws" && fences.length === 1) throw new Error("broken");
        return "done";
      }),
    );
    for (const answer of [gone, released]) {
      await turn();
      backend.attempts.take().answer(backend.granted());
      await turn();
      backend.releases.take().answer(answer);
    }
    await turn();
    expect(lead.result).toBe("done");
    expect(fences).toHaveLength(2);
    expect(errors).toEqual(how === "throws" ? [new Error("broken")] : []);
    await close();
  },
);

test("a release without an answer is told, and the value is lead's all the same", async () => {
  const errors: unknown[] = [];
  const { locker, backend, close } = openFake({ keepAlive: false, onError: (error) => errors.push(error) });
  const lead = watch(locker.lead("a", () => "done"));
  await turn();
  backend.attempts.take().answer(backend.granted());
  await clock.pass(10_000);
  expect(lead.result).toBe("done");
  expect(errors).toMatchObject([{ name: "UnavailableError", outcome: "unknown" }]);
  backend.abandons.reply = () => gone;
  await close();
});

test("the caller's signal fires the body's with its reason; the body is waited for, then the lock is released", async () => {
  await using stage = openStage();
  const stop = new AbortController();
  const lead = watch(stage.locker.lead("a", stage.body, { signal: stop.signal }));
  await settle();
  const reason = new Error("SIGTERM");
  stop.abort(reason);
  expect(stage.last.signal.reason).toBe(reason);
  await stage.clock.advance(60_000);
  expect([lead.state, stage.last.lock.held]).toEqual(["pending", true]);
  stage.last.returns("not resigned");
  await settle();
  expect(lead.result).toBeUndefined();
  expect(await stage.locker.check("a")).toBeNull();
  expect(stage.begun).toHaveLength(1);
  expect(stage.locker.stats()).toMatchObject({ acquired: 1, released: 1 });
  expect(getEventListeners(stop.signal, "abort")).toEqual([]);
});

test("asked to end, a body may throw the abort; another error ends lead with it", async () => {
  await using stage = openStage();
  for (const throws of ["reason", "AbortError", "other"] as const) {
    const stop = new AbortController();
    const lead = watch(stage.locker.lead("a", stage.body, { signal: stop.signal }));
    await settle();
    stop.abort(new Error("SIGTERM"));
    const { signal } = stage.last;
    const other = new Error("could not clean up");
    stage.last.throws(
      throws === "other" ? other : throws === "reason" ? signal.reason : new DOMException("aborted", "AbortError"),
    );
    await settle();
    expect([lead.state, lead.error], throws).toEqual(
      throws === "other" ? ["rejected", other] : ["resolved", undefined],
    );
    expect(await stage.locker.check("a"), throws).toBeNull();
  }
  // while nothing has asked it to end, an abort is an error like any other
  const abort = new DOMException("aborted", "AbortError");
  await expect(stage.locker.lead("a", () => Promise.reject(abort))).rejects.toBe(abort);
});

test("lost and asked to end: lead resolves to undefined, does not campaign, and tells what else the body threw", async () => {
  await using stage = openStage();
  const stop = new AbortController();
  const pauses: number[] = [];
  const retry = (attempt: number): number => pauses.push(attempt);
  const lead = watch(stage.locker.lead("a", stage.body, { signal: stop.signal, retry }));
  await settle();
  stage.faults.lose("a");
  stop.abort();
  expect(stage.last.signal.reason).toBeInstanceOf(LeaseLostError); // the first of the two
  const error = new Error("broken");
  stage.last.throws(error);
  await settle();
  expect(lead.result).toBeUndefined();
  expect(lead.state).toBe("resolved");
  expect(stage.errors).toEqual([error]);
  expect([stage.begun.length, pauses]).toEqual([1, []]);
});

test("a signal that fires with the grant: the body does not run, and the lock is released", async () => {
  const stop = new AbortController();
  await using stage = openStage({ onAcquired: () => stop.abort() });
  expect(await stage.locker.lead("a", stage.body, { signal: stop.signal })).toBeUndefined();
  expect(stage.begun).toHaveLength(0);
  expect(stage.locker.stats()).toMatchObject({ acquired: 1, released: 1 });
});

test("a signal that is aborted already sends nothing, of a locker that is closed, too", async () => {
  await using stage = openStage();
  stage.faults.failNext(new Error("something was sent"));
  const options = { signal: AbortSignal.abort() };
  expect(await stage.locker.lead("a", stage.body, options)).toBeUndefined();
  await expect(stage.locker.lead("a", stage.body, { ...options, ttlMs: -1 })).rejects.toMatchObject({
    option: "ttlMs",
  });
  stage.faults.heal();
  await stage.locker.close();
  expect(await stage.locker.lead("a", stage.body, options)).toBeUndefined();
  expect(stage.begun).toHaveLength(0);
});

test("a signal that fires in the queue ends the campaign, and leaves no place there", async () => {
  await using stage = openStage();
  await using other = stage.otherProcess();
  const held = await other.acquire("a");
  const stop = new AbortController();
  const lead = watch(stage.locker.lead("a", stage.body, { signal: stop.signal }));
  await stage.clock.advance(3_600_000);
  expect((await other.check("a"))?.waiters).toBe(1);
  stop.abort();
  await settle();
  expect([lead.state, lead.value]).toEqual(["resolved", undefined]);
  expect((await other.check("a"))?.waiters).toBe(0);
  expect(getEventListeners(stop.signal, "abort")).toEqual([]);
  await held.release();
});

test("maxHoldMs bounds a term; then those in line come first", async () => {
  await using stage = openStage();
  await using other = stage.otherProcess();
  const lead = watch(stage.locker.lead("a", stage.body, { maxHoldMs: 60_000 }));
  await settle();
  const waiting = watch(other.acquire("a", { waitMs: Number.POSITIVE_INFINITY }));
  await stage.clock.advance(60_000);
  expect(stage.last.signal.reason).toMatchObject({ reason: "max-hold" });
  stage.last.returns();
  await stage.clock.advance(10_000);
  expect(stage.begun).toHaveLength(1);
  await waiting.result.release();
  await settle();
  expect(stage.begun).toHaveLength(2);
  stage.last.returns("done");
  await settle();
  expect(lead.result).toBe("done");
});

test('reentry "throw" knows the body of lead, and lead in the body of another call', async () => {
  await using stage = openStage({ reentry: "throw" });
  const { locker } = stage;
  expect(await locker.lead("a", () => locker.withLock("a", () => 1).catch((error: unknown) => error))).toBeInstanceOf(
    ReentryError,
  );
  expect(
    await locker.withLock("a", () => locker.lead("a", stage.body).catch((error: unknown) => error)),
  ).toBeInstanceOf(ReentryError);
  expect(stage.begun).toHaveLength(0);
});

test.each(["body", "body that returns", "campaign", "pause"])(
  "closing the locker ends lead with ClosedError: in its %s",
  async (where) => {
    await using stage = openStage();
    await using other = stage.otherProcess();
    const held = where === "campaign" ? await other.acquire("a") : null;
    const pauses: number[] = [];
    const retry = (attempt: number): number => {
      pauses.push(attempt);
      return 3_600_000;
    };
    const lead = watch(stage.locker.lead("a", stage.body, { retry }));
    await settle();
    if (where === "pause") {
      stage.faults.lose("a");
      stage.last.returns();
      await settle();
    }
    const asked = pauses.length;
    const closing = stage.locker.close({ drainMs: where === "body that returns" ? 60_000 : 0 });
    await settle();
    if (where.startsWith("body")) {
      expect(stage.last.signal.reason).toMatchObject({ name: "LeaseLostError", reason: "closed" });
      if (where === "body") await closing;
      expect(lead.state).toBe("pending");
      stage.last.returns("because of the signal");
    }
    await closing;
    await settle();
    expect(lead.error).toMatchObject({ name: "ClosedError" });
    expect(pauses).toHaveLength(asked); // it is not asked how long to wait for nothing
    expect(await other.check("a")).toEqual(held === null ? null : expect.objectContaining({ waiters: 0 }));
    await expect(stage.locker.lead("a", stage.body)).rejects.toMatchObject({ name: "ClosedError" });
  },
);
