import { inspect } from "node:util";
import { describe, expect, test, vi } from "vitest";
import * as errors from "../../src/errors/errors.js";
import {
  ClosedError,
  InvalidKeyError,
  InvalidOptionError,
  LeaseholdError,
  LeaseLostError,
  type LossReason,
  NotAcquiredError,
  NotHeldError,
  NotMigratedError,
  NotPermittedError,
  ReentryError,
  RetriesExhaustedError,
  StaleFenceError,
  UnavailableError,
  UnsafeBackendError,
  UnsupportedError,
  WaitTimeoutError,
} from "../../src/errors/errors.js";

const holder = {
  owner: "web-1:17",
  fence: 2n ** 60n,
  weight: 1,
  isThisProcess: false,
  expiresAt: new Date(1_700_000_000_000),
};

const all: readonly { error: LeaseholdError; name: string; code: string; says: string }[] = [
  {
    error: new NotAcquiredError({ key: "a", holder, blockingPid: 4711 }),
    name: "NotAcquiredError",
    code: "not-acquired",
    says: 'Could not lock "a", held by "web-1:17" (fence 1152921504606846976) and blocked by the open transaction of server process 4711',
  },
  {
    error: new WaitTimeoutError({ key: "a", waitMs: 250, holder }),
    name: "WaitTimeoutError",
    code: "wait-timeout",
    says: 'Waited 250 ms for "a", held by "web-1:17"',
  },
  {
    error: new RetriesExhaustedError({ key: "a", attempts: 4, holder, blockingPid: 4711 }),
    name: "RetriesExhaustedError",
    code: "retries-exhausted",
    says: 'Tried 4 times to lock "a", held by "web-1:17" (fence 1152921504606846976) and blocked by the open transaction of server process 4711. Let the retry strategy go on for longer',
  },
  {
    error: new ReentryError({ key: "a" }),
    name: "ReentryError",
    code: "reentry",
    says: 'give it the option reentry: "wait"',
  },
  { error: new NotHeldError({ key: "a", fence: 7n }), name: "NotHeldError", code: "not-held", says: '"a" (fence 7)' },
  {
    error: new LeaseLostError({ key: "a", fence: 7n, reason: "forced" }),
    name: "LeaseLostError",
    code: "lease-lost",
    says: "forceRelease",
  },
  {
    error: new StaleFenceError({ key: "a", fence: 7n, holder }),
    name: "StaleFenceError",
    code: "stale-fence",
    says: 'Postgres refused the writes under "a" (fence 7): that grant has ended. The key is held by "web-1:17" (fence 1152921504606846976). Nothing of this transaction is kept.',
  },
  {
    error: new InvalidKeyError({ expected: "a string", received: 5 }),
    name: "InvalidKeyError",
    code: "invalid-key",
    says: "key: expected a string, got 5 (number)",
  },
  {
    error: new InvalidOptionError({
      option: "ttlMs",
      expected: "an integer of 100 to 2147483647 (milliseconds)",
      received: -5,
    }),
    name: "InvalidOptionError",
    code: "invalid-option",
    says: "ttlMs: expected an integer of 100 to 2147483647 (milliseconds), got -5 (number)",
  },
  { error: new ClosedError(), name: "ClosedError", code: "closed", says: "createLocker()" },
  {
    error: new NotMigratedError({ found: null, needed: 1 }),
    name: "NotMigratedError",
    code: "not-migrated",
    says: "no schema leasehold. Run `await locker.migrate()`",
  },
  {
    error: new NotPermittedError({ statement: "select leasehold.grant_usage('app');", role: "app" }),
    name: "NotPermittedError",
    code: "not-permitted",
    says: "run: select leasehold.grant_usage('app');",
  },
  {
    error: new UnsafeBackendError({ problem: "This server is a standby", remedy: "Connect to the primary" }),
    name: "UnsafeBackendError",
    code: "unsafe-backend",
    says: "This server is a standby. Connect to the primary.",
  },
  {
    error: new UnavailableError({ outcome: "unknown" }),
    name: "UnavailableError",
    code: "unavailable",
    says: "may or may not",
  },
  {
    error: new UnsupportedError({ message: "Postgres 9 is too old." }),
    name: "UnsupportedError",
    code: "unsupported",
    says: "too old",
  },
];

describe("every error", () => {
  test.each(all)("$name has its name, its code and a message that says what to do", ({ error, name, code, says }) => {
    expect(error).toBeInstanceOf(LeaseholdError);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe(name);
    expect(error.code).toBe(code);
    expect(error.message).toContain(says);
    expect(error.stack).toContain(`${name}: `);
    expect(Object.keys(error)).not.toContain("name");
  });

  test.each(all)("$name survives JSON.stringify", ({ error, name, code }) => {
    const data = JSON.parse(JSON.stringify(error));
    expect(data).toMatchObject({ name, code, message: error.message });
    expect(data).not.toHaveProperty("stack");
  });

  test("the table above holds every class that is exported", () => {
    const classes = Object.values(errors).filter((value) => value !== LeaseholdError);
    expect(new Set(all.map(({ error }) => error.constructor))).toEqual(new Set(classes));
  });
});

describe("as JSON", () => {
  test("a fence is a decimal string and a time is in ISO form", () => {
    const data = JSON.parse(JSON.stringify(new WaitTimeoutError({ key: "a", waitMs: 5, holder, blockingPid: 9 })));
    expect(data).toEqual({
      name: "WaitTimeoutError",
      code: "wait-timeout",
      message: expect.any(String),
      key: "a",
      waitMs: 5,
      isHeldHere: false,
      deadlock: null,
      blockingPid: 9,
      holder: {
        owner: "web-1:17",
        fence: "1152921504606846976",
        weight: 1,
        isThisProcess: false,
        expiresAt: "2023-11-14T22:13:20.000Z",
      },
    });
  });

  test("the cause is shown by name, message and code alone", () => {
    const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", secret: "x" });
    const data = JSON.parse(JSON.stringify(new UnavailableError({ outcome: "not-sent", cause })));
    expect(data.cause).toEqual({ name: "Error", message: "connect ECONNREFUSED", code: "ECONNREFUSED" });
  });

  test("whatever a user hangs on an error, it stays JSON-safe", () => {
    const loop: Record<string, unknown> = { big: 1n };
    loop.loop = loop;
    const error = Object.assign(new ClosedError(), {
      loop,
      fn: () => 1,
      infinite: Number.POSITIVE_INFINITY,
      list: [1n],
    });
    expect(() => JSON.stringify(error)).not.toThrow();
  });
});

describe("a cause", () => {
  test("is kept as it is", () => {
    const cause = new Error("why");
    expect(new UnavailableError({ outcome: "unknown", cause }).cause).toBe(cause);
    expect("cause" in new UnavailableError({ outcome: "unknown" })).toBe(false);
  });

  test("of a client in debug mode loses the statement's parameters, for a token is among them", () => {
    class PostgresError extends Error {}
    const cause = new PostgresError("deadlock detected");
    Object.defineProperty(cause, "parameters", { value: ["secret-token"], enumerable: true });
    Object.defineProperty(cause, "code", { value: "40P01", enumerable: true });
    const error = new UnavailableError({ outcome: "unknown", cause });

    expect(inspect(error, { depth: 10 })).not.toContain("secret-token");
    expect(error.cause).toBeInstanceOf(PostgresError);
    expect(error.cause).toMatchObject({ message: "deadlock detected", code: "40P01", stack: cause.stack });
  });
});

describe("instanceof", () => {
  test("follows the relations of the classes", () => {
    const timeout = new WaitTimeoutError({ key: "a", waitMs: 1 });
    const lost = new LeaseLostError({ key: "a", reason: "taken" });
    expect(timeout).toBeInstanceOf(NotAcquiredError);
    expect(lost).toBeInstanceOf(NotHeldError);
    expect(new NotAcquiredError({ key: "a" })).not.toBeInstanceOf(WaitTimeoutError);
    expect(lost).not.toBeInstanceOf(NotAcquiredError);
    expect(new RetriesExhaustedError({ key: "a" })).toBeInstanceOf(NotAcquiredError);
    expect(new RetriesExhaustedError({ key: "a" })).not.toBeInstanceOf(WaitTimeoutError);
  });

  test("knows the errors of another copy of the package", async () => {
    vi.resetModules();
    const other: typeof errors = await import("../../src/errors/errors.js");
    expect(other.WaitTimeoutError).not.toBe(WaitTimeoutError);

    const foreign = new other.WaitTimeoutError({ key: "a", waitMs: 1 });
    expect(foreign).toBeInstanceOf(WaitTimeoutError);
    expect(foreign).toBeInstanceOf(NotAcquiredError);
    expect(foreign).toBeInstanceOf(LeaseholdError);
    expect(foreign).not.toBeInstanceOf(NotHeldError);
    expect(new LeaseLostError({ key: "a", reason: "closed" })).toBeInstanceOf(other.NotHeldError);
  });

  test("of a user's own subclass is JavaScript's", () => {
    class Mine extends NotHeldError {}
    expect(new Mine({ key: "a" })).toBeInstanceOf(Mine);
    expect(new Mine({ key: "a" })).toBeInstanceOf(NotHeldError);
    expect(new NotHeldError({ key: "a" })).not.toBeInstanceOf(Mine);
  });

  test.each([null, undefined, 1, "text", {}, new Error("other")])("is false for %s", (value) => {
    expect(value instanceof LeaseholdError).toBe(false);
  });
});

describe("messages", () => {
  test("a wait for a key that this process holds says that locks are not reentrant", () => {
    const error = new WaitTimeoutError({ key: "a", waitMs: 1, isHeldHere: true });
    expect(error.isHeldHere).toBe(true);
    expect(error.message).toContain("This process itself holds the key, and locks are not reentrant");
  });

  test.each<[LossReason, string]>([
    ["expired", "TTL ran out"],
    ["taken", "no longer knows this grant"],
    ["max-hold", "maxHoldMs"],
    ["forced", "forceRelease"],
    ["closed", "locker was closed"],
  ])("a loss by %s says so", (reason, says) => {
    const error = new LeaseLostError({ key: "a", fence: 3n, reason });
    expect(error.reason).toBe(reason);
    expect(error.message).toContain(says);
  });

  test("an old schema is named with both versions", () => {
    expect(new NotMigratedError({ found: 1, needed: 2 }).message).toContain("has version 1, this client needs 2");
  });

  test.each([
    ["text", '"text" (string)'],
    ["", '"" (string)'],
    ["line\nbreak", '"line\\nbreak" (string)'],
    ["x".repeat(1_000), `"${"x".repeat(60)}…" (string)`],
    [Number.NaN, "NaN (number)"],
    [-0, "-0 (number)"],
    [12n, "12n (bigint)"],
    [true, "true (boolean)"],
    [null, "null"],
    [undefined, "undefined"],
    [["secret"], "an array"],
    [{ password: "secret" }, "an object"],
    [() => 1, "a function"],
    [Symbol("s"), "a symbol"],
  ])("what came is described: %s", (received, description) => {
    const error = new InvalidOptionError({ option: "ttlMs", expected: "x", received });
    expect(error.received).toBe(description);
    expect(error.message).toBe(`ttlMs: expected x, got ${description}`);
  });

  test.each(["url", "directUrl", "password", "connection.password", "LEASEHOLD_DATABASE_URL", "connection.ssl"])(
    "what came is described by its type alone for %s, which may hold a secret",
    (option) => {
      const error = new InvalidOptionError({ option, expected: "x", received: "hunter2" });
      expect(inspect(error) + JSON.stringify(error)).not.toContain("hunter2");
      expect(error.received).toBe("a string");
    },
  );
});

test("a test can make each error from what identifies it alone", () => {
  const made = [
    new NotAcquiredError({ key: "a" }),
    new WaitTimeoutError({ key: "a" }),
    new RetriesExhaustedError({ key: "a" }),
    new ReentryError({ key: "a" }),
    new NotHeldError({ key: "a" }),
    new LeaseLostError({ key: "a" }),
    new StaleFenceError({ key: "a" }),
    new InvalidKeyError(),
    new InvalidOptionError({ option: "ttlMs" }),
    new ClosedError(),
    new NotMigratedError(),
    new NotPermittedError({ statement: "select 1" }),
    new UnsafeBackendError({ problem: "It is a standby" }),
    new UnavailableError(),
    new UnsupportedError({ message: "It does not." }),
  ];
  const classes = Object.entries(errors).filter(([name]) => name.endsWith("Error") && name !== "LeaseholdError");
  expect(made.map(({ name }) => name).sort()).toEqual(classes.map(([name]) => name).sort());
  for (const { name, message } of made) expect(message, name).not.toMatch(/(?<!got )undefined|null|NaN/);
  expect(new LeaseLostError({ key: "a" }).reason).toBe("expired");
  expect(new UnavailableError().outcome).toBe("not-sent");
  expect(new RetriesExhaustedError({ key: "a" })).toMatchObject({ attempts: 1, holder: null, blockingPid: null });
  expect(new WaitTimeoutError({ key: "a" })).toMatchObject({ holder: null, isHeldHere: false, blockingPid: null });
});

/** What a class cannot do without. The others need nothing. */
const identifiedBy: Readonly<Record<string, string>> = {
  NotAcquiredError: "key",
  WaitTimeoutError: "key",
  RetriesExhaustedError: "key",
  ReentryError: "key",
  NotHeldError: "key",
  LeaseLostError: "key",
  StaleFenceError: "key",
  InvalidOptionError: "option",
  NotPermittedError: "statement",
  UnsafeBackendError: "problem",
  UnsupportedError: "message",
};
const untyped = Object.entries(errors as Readonly<Record<string, unknown>>).filter(
  (entry): entry is [string, new (data?: unknown) => LeaseholdError] =>
    entry[0].endsWith("Error") && entry[0] !== "LeaseholdError",
);

test.each(untyped)("new %s() in JavaScript makes one, or says which text it needs", (name, ErrorClass) => {
  const needed = identifiedBy[name];
  if (needed === undefined) {
    expect(new ErrorClass()).toBeInstanceOf(ErrorClass);
    expect(new ErrorClass({})).toBeInstanceOf(ErrorClass);
    return;
  }
  for (const [data, came] of [
    [undefined, "undefined"],
    [null, "undefined"],
    [{}, "undefined"],
    [{ [needed]: 7 }, "a number"],
  ]) {
    const says = `new ${name}({ ${needed} }): expected ${needed} to be a string, got ${came}`;
    expect(() => new ErrorClass(data)).toThrow(new TypeError(says));
  }
  expect(new ErrorClass({ [needed]: "text" })).toBeInstanceOf(ErrorClass);
});
