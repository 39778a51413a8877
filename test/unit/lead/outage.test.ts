// When `lead` campaigns again: after a loss, over an outage, and by a strategy of the caller's.
import { expect, test } from "vitest";
import {
  backoff,
  InvalidOptionError,
  LeaseLostError,
  NotMigratedError,
  NotPermittedError,
  RetriesExhaustedError,
  type RetryStrategy,
  UnavailableError,
  UnsafeBackendError,
  UnsupportedError,
} from "../../../src/index.js";
import { badPassword, type FakeBackend, gone, released } from "../fake-backend.js";
import { clock } from "../manual-clock.js";
import { openFake } from "../open.js";
import { watch } from "../outcome.js";
import { openStage, type Stage, settle } from "./bodies.js";

const endedClient = (): UnavailableError =>
  new UnavailableError({ cause: Object.assign(new Error("ended"), { code: "CLIENT_ENDED" }) });

async function lose({ faults, last }: Stage): Promise<void> {
  faults.lose("a");
  last.returns();
  await settle();
}

test("after a loss it campaigns at once", async () => {
  await using stage = openStage();
  const lead = watch(stage.locker.lead("a", stage.body));
  await settle();
  for (let terms = 2; terms <= 10; terms += 1) {
    await lose(stage);
    expect(stage.begun).toHaveLength(terms);
  }
  stage.last.returns();
  await settle();
  lead.result;
});

test("or after the pause of retry, for which every loss is the first attempt", async () => {
  await using stage = openStage();
  const attempts: number[] = [];
  const retry = (attempt: number): number => {
    attempts.push(attempt);
    return 60_000;
  };
  const lead = watch(stage.locker.lead("a", stage.body, { retry }));
  await settle();
  expect(attempts).toEqual([]); // nothing has gone wrong yet
  for (let terms = 2; terms <= 3; terms += 1) {
    await lose(stage);
    await stage.clock.advance(59_999);
    expect(stage.begun).toHaveLength(terms - 1);
    expect(await stage.locker.check("a")).toBeNull();
    await stage.clock.advance(1);
    expect(stage.begun).toHaveLength(terms);
  }
  expect(attempts).toEqual([1, 1]);
  stage.last.returns();
  await settle();
  lead.result;
});

test("the locker's own retry and waitMs are for other calls", async () => {
  const never = (): number => {
    throw new Error("it was asked");
  };
  await using stage = openStage({ retry: never, waitMs: 0 });
  await using other = stage.otherProcess();
  const held = await other.acquire("a", { waitMs: 1, retry: undefined });
  const lead = watch(stage.locker.lead("a", stage.body));
  await stage.clock.advance(3_600_000);
  expect((await other.check("a"))?.waiters).toBe(1);
  await held.release();
  await settle();
  await lose(stage);
  expect(stage.begun).toHaveLength(2);
  stage.last.returns();
  await settle();
  lead.result;
});

test("a strategy that gives up after a loss ends lead, with the loss as the cause", async () => {
  await using stage = openStage();
  const lead = watch(stage.locker.lead("a", stage.body, { retry: backoff.fixed(100, { retries: 0 }) }));
  await settle();
  await lose(stage);
  expect(lead.error).toBeInstanceOf(RetriesExhaustedError);
  expect(lead.error).toMatchObject({ key: "a", attempts: 1, cause: expect.any(LeaseLostError) });
  expect((lead.error as Error).message).toContain("Gave up leading");
});

const failing: readonly (readonly [string, RetryStrategy, typeof RangeError | typeof InvalidOptionError])[] = [
  ["a delay that is none", () => -1, InvalidOptionError],
  [
    "what it throws",
    () => {
      throw new RangeError("no");
    },
    RangeError,
  ],
];

test.each(failing)("a strategy that fails ends lead: %s", async (_, retry, error) => {
  await using stage = openStage();
  const lead = watch(stage.locker.lead("a", stage.body, { retry }));
  await settle();
  await lose(stage);
  expect(lead.error).toBeInstanceOf(error);
  expect(await stage.locker.check("a")).toBeNull();
});

test("a signal ends the pause after a loss", async () => {
  await using stage = openStage();
  const stop = new AbortController();
  const lead = watch(stage.locker.lead("a", stage.body, { retry: () => 3_600_000, signal: stop.signal }));
  await settle();
  await lose(stage);
  expect(lead.state).toBe("pending");
  stop.abort();
  await settle();
  expect([lead.state, lead.value, stage.begun.length]).toEqual(["resolved", undefined, 1]);
});

test("an outage that outlasts the TTL ends the term, not lead; it is told once, and lead leads soon after it", async () => {
  await using stage = openStage({ ttlMs: 30_000 });
  const lead = watch(stage.locker.lead("a", stage.body));
  await settle();
  const first = stage.last;
  stage.faults.disconnect();
  await stage.clock.advance(30_000);
  expect(first.signal.reason).toMatchObject({ reason: "expired" });
  first.throws(first.signal.reason);
  await stage.clock.advance(3_600_000);
  expect([lead.state, stage.begun.length]).toEqual(["pending", 1]);
  expect(stage.errors).toHaveLength(1);
  expect(stage.errors[0]).toBeInstanceOf(UnavailableError);

  stage.faults.heal();
  await stage.clock.advance(5_000); // its longest pause
  expect(stage.begun).toHaveLength(2);
  stage.last.returns("done");
  await settle();
  expect(lead.result).toBe("done");
});

test("the first look after an outage of hours is not taken for late, although the server's clock may have drifted since", async () => {
  await using stage = openStage({ ttlMs: 30_000, requestTimeoutMs: 1_000 });
  let failedAt = 0;
  const retry = (): number => {
    failedAt = stage.clock.now();
    return 60_000;
  };
  const lead = watch(stage.locker.lead("a", stage.body, { retry }));
  await settle();
  stage.faults.disconnect();
  await stage.clock.advance(30_000);
  stage.last.returns();
  await stage.clock.advance(7_200_000);
  await stage.clock.advance(failedAt + 60_400 - stage.clock.now()); // between the last two requests of a look, which has 1 s
  stage.faults.heal();
  await stage.clock.advance(300);
  expect(stage.begun).toHaveLength(2);
  stage.last.returns("done");
  await settle();
  expect(lead.result).toBe("done");
});

test("in an outage retry is asked after each look without an answer, and counts on from the loss; an answer begins anew", async () => {
  await using stage = openStage({ ttlMs: 30_000, requestTimeoutMs: 1_000 });
  await using other = stage.otherProcess({ ttlMs: 3_600_000 });
  const attempts: number[] = [];
  const retry = (attempt: number): number => {
    attempts.push(attempt);
    return 10_000;
  };
  const lead = watch(stage.locker.lead("a", stage.body, { retry }));
  await settle();
  stage.faults.disconnect();
  await stage.clock.advance(30_000);
  stage.last.returns();
  await stage.clock.advance(25_000); // 10 s of pause, then looks of less than 1 s with 10 s between them
  expect(attempts).toEqual([1, 2, 3]);

  attempts.length = 0;
  const behind = other.acquire("a", { waitMs: Number.POSITIVE_INFINITY });
  stage.faults.heal();
  const held = await Promise.race([behind, stage.clock.advance(3_000).then(() => behind)]);
  await stage.clock.advance(20_000);
  expect((await other.check("a"))?.waiters).toBe(1);
  expect(attempts).toEqual([]);
  stage.faults.disconnect();
  await stage.clock.advance(15_000);
  expect(attempts.slice(0, 2)).toEqual([1, 2]);

  stage.faults.heal();
  await stage.clock.advance(20_000);
  await held.release();
  await stage.clock.advance(1_000);
  expect(stage.begun).toHaveLength(2);
  stage.last.returns("done");
  await settle();
  expect(lead.result).toBe("done");
});

test("a strategy that gives up in an outage ends lead, with the outage as the cause", async () => {
  await using stage = openStage({ requestTimeoutMs: 1_000 });
  stage.faults.disconnect();
  const lead = watch(stage.locker.lead("a", stage.body, { retry: backoff.fixed(100, { retries: 3 }) }));
  await stage.clock.advance(60_000);
  expect(lead.error).toMatchObject({ name: "RetriesExhaustedError", attempts: 4, cause: expect.any(UnavailableError) });
  expect(stage.begun).toHaveLength(0);
  stage.faults.heal();
});

/** Each thing that is asked fails with this, until it is null. */
function refuseAll(backend: FakeBackend, errorOf: () => UnavailableError | null): void {
  for (const requests of [backend.attempts, backend.looks]) {
    requests.reply = () => errorOf() ?? backend.granted();
  }
  backend.releases.reply = () => released;
  backend.abandons.reply = () => gone;
}

test("what is refused at once passes, too, where this locker has been connected: it is told, and tried again after a pause", async () => {
  const errors: unknown[] = [];
  const { locker, backend, close } = openFake({ keepAlive: false, onError: (error) => errors.push(error) });
  const attempts: number[] = [];
  const retry = (attempt: number): number => {
    attempts.push(attempt);
    return 1_000;
  };
  refuseAll(backend, () => (attempts.length < 3 ? badPassword() : null));
  const lead = watch(locker.lead("a", () => "done", { retry }));
  await clock.pass(2_999);
  expect(lead.state).toBe("pending");
  await clock.pass(1);
  expect(lead.result).toBe("done");
  expect(attempts).toEqual([1, 2, 3]);
  expect(errors).toEqual([expect.any(UnavailableError)]);
  await close();
});

test("by default the pauses after that grow from half a second to 5 s", async () => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  const refusedAt: number[] = [];
  let isRefused = true;
  refuseAll(backend, () => (isRefused ? badPassword() : null));
  const { reply } = backend.attempts;
  backend.attempts.reply = (request) => {
    refusedAt.push(clock.monotonicMs);
    return reply?.(request);
  };
  const lead = watch(locker.lead("a", () => "done"));
  await clock.pass(60_000);
  const pauses = refusedAt.slice(1).map((at, index) => at - (refusedAt[index] ?? 0));
  [500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000].forEach((longest, index) => {
    expect(pauses[index]).toBeLessThanOrEqual(longest);
    expect(pauses[index]).toBeGreaterThanOrEqual(longest * 0.8);
  });
  expect(lead.state).toBe("pending");
  isRefused = false;
  await clock.pass(5_000);
  expect(lead.result).toBe("done");
  await close();
});

test.each([
  ["a wrong password, where this locker has never been connected", badPassword, false],
  ["a client that was ended", endedClient, true],
] as const)("what does not pass ends lead: %s", async (_, errorOf, wasReady) => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  backend.wasReady = wasReady;
  refuseAll(backend, errorOf);
  const lead = watch(locker.lead("a", () => "done", { retry: () => 1 }));
  await clock.pass(0);
  expect(lead.error).toBeInstanceOf(UnavailableError);
  await close();
});

test.each([
  new NotMigratedError(),
  new NotPermittedError({ statement: "grant" }),
  new UnsafeBackendError({ problem: "A standby" }),
  new UnsupportedError({ message: "no" }),
])("what does not pass ends lead: %o", async (error) => {
  await using stage = openStage();
  await stage.locker.ready();
  stage.faults.failNext(error);
  await expect(stage.locker.lead("a", stage.body, { retry: () => 1 })).rejects.toBe(error);
  expect(stage.errors).toEqual([]);
});
