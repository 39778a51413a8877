import { expect, test } from "vitest";
import { UnavailableError } from "../../../src/errors/errors.js";
import { after, now, systemClock } from "../../../src/runtime/clock.js";
import { RequestTimeout } from "../../../src/runtime/timeout.js";
import { ofAttempts, type RetryOptions, retry } from "../../../src/store/retry.js";
import { badPassword, noAnswer, notSent } from "../fake-backend.js";
import { clock } from "../manual-clock.js";
import { watch } from "../outcome.js";

const exhausted = (failure: UnavailableError | null) => new Error("time is up", { cause: failure });

function start(
  attempt: (leftMs: number) => Promise<string | undefined>,
  options: Partial<Omit<RetryOptions<string>, "clock">> = {},
) {
  return watch(
    retry<string>({
      clock: systemClock,
      attempt,
      deadline: after(now(), 1_000),
      firstMs: 10,
      maxMs: 100,
      exhausted,
      ...options,
    }),
  );
}

test("the first value ends it, without a pause", async () => {
  const call = start(async () => "value");
  await clock.pass(0);
  expect(call.result).toBe("value");
});

test("pauses grow from firstMs twofold up to maxMs, and each attempt is told how much time is left", async () => {
  const begun = clock.monotonicMs;
  const seen: [number, number][] = [];
  const call = start(async (leftMs) => {
    seen.push([clock.monotonicMs - begun, leftMs]);
    return undefined;
  });
  await clock.pass(2_000);
  expect(seen.slice(0, 7)).toEqual([0, 10, 30, 70, 150, 250, 350].map((at) => [at, 1_000 - at]));
  // Not into a pause that would end after the deadline.
  expect(seen.at(-1)?.[0]).toBe(950);
  expect(call.error).toMatchObject({ message: "time is up" });
});

test("at the deadline the failure of the last attempt is thrown, or what exhausted makes of an answer", async () => {
  const failure = notSent();
  const failing = start(async () => Promise.reject(failure));
  let attempts = 0;
  const answered = start(async () => {
    attempts += 1;
    if (attempts === 1) throw failure;
    return undefined;
  });
  await clock.pass(1_000);
  expect(failing.error).toBe(failure);
  expect(answered.error).toMatchObject({ message: "time is up", cause: failure });
});

test.each([
  ["is no reason to ask again", () => new TypeError("a fault")],
  ["says that the server refuses us", badPassword],
])("an error that %s ends it at once", async (_, make) => {
  const error = make();
  let attempts = 0;
  const call = start(async () => {
    attempts += 1;
    throw error;
  });
  await clock.pass(0);
  expect(call.error).toBe(error);
  expect(attempts).toBe(1);
});

test("a timeout is an attempt whose outcome is unknown, whatever became of the ones after it", async () => {
  let attempts = 0;
  const call = start(async () => {
    attempts += 1;
    throw attempts === 1 ? new RequestTimeout("no answer") : notSent();
  });
  await clock.pass(1_000);
  expect(call.error).toMatchObject({ code: "unavailable", outcome: "unknown" });
  expect(attempts).toBeGreaterThan(3);
});

test("an interrupt ends the pause, and refuse says why", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  let attempts = 0;
  const call = start(
    async () => {
      attempts += 1;
      return undefined;
    },
    {
      refuse: () => {
        if (controller.signal.aborted) throw reason;
      },
      interrupt: () => controller.signal,
    },
  );
  await clock.pass(15);
  controller.abort();
  await clock.pass(0);
  expect(call.error).toBe(reason);
  expect(attempts).toBe(2);
});

test("pauses do not keep the process alive", async () => {
  const call = start(async () => undefined, { deadline: after(now(), 1_000) });
  await clock.pass(0);
  expect([clock.timers, clock.keepingAlive]).toEqual([1, 0]);
  await clock.pass(1_000);
  expect(call.state).toBe("rejected");
});

test("of several failures the one that tells most is kept, and its outcome is unknown if that of any is", () => {
  const cut = new UnavailableError({ outcome: "unknown", cause: new RequestTimeout("cut short") });
  const [first, second] = [notSent(), notSent()];
  expect(ofAttempts(null, first)).toBe(first);
  expect(ofAttempts(first, second)).toBe(second);
  const lost = noAnswer();
  expect(ofAttempts(first, lost)).toBe(lost);
  const both = ofAttempts(lost, first);
  expect(both.outcome).toBe("unknown");
  const shortened = ofAttempts(badPassword(), cut);
  expect(shortened).toMatchObject({ outcome: "unknown", cause: { code: "28P01" } });
});
