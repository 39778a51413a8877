import { describe, expect, test } from "vitest";
import type { StoreFactory } from "../../../src/api/store.js";
import { resolveLockerOptions } from "../../../src/config/resolve-options.js";
import { parseConfig } from "../../../src/config.js";
import { configOptions } from "../../../src/config-file/options.js";
import { entriesOf } from "../../../src/config-file/table.js";
import { isAccepted, refusal } from "../refusal.js";

const refused = (value: unknown) => refusal(() => parseConfig(value)).message;

test("the options of a file become those of a locker", () => {
  const file = JSON.parse(`{
    "$schema": "./node_modules/leasehold/config.schema.json",
    "url": "postgres://app@db.example/app",
    "connection": { "ssl": "require", "connection": { "application_name": "billing" } },
    "presence": "off",
    "prefix": "billing:",
    "ttlMs": "1m30s",
    "waitMs": "Infinity",
    "minHoldMs": 1500,
    "keepAlive": false,
    "metadata": { "team": ["a", null] },
    "store": "memory"
  }`);
  expect(parseConfig(file)).toEqual({
    url: "postgres://app@db.example/app",
    connection: { ssl: "require", connection: { application_name: "billing" } },
    presence: "off",
    prefix: "billing:",
    ttlMs: 90_000,
    waitMs: Number.POSITIVE_INFINITY,
    minHoldMs: 1_500,
    keepAlive: false,
    metadata: { team: ["a", null] },
    store: "memory",
  });
});

test("what is left out, or undefined, is left to createLocker", () => {
  expect(parseConfig({})).toEqual({});
  expect(Object.keys(parseConfig({ ttlMs: undefined, metadata: null }))).toEqual(["metadata"]);
});

describe("durations", () => {
  test.each([
    ["30s", 30_000],
    ["1m30s", 90_000],
    ["500ms", 500],
    ["2h", 7_200_000],
    ["1.5s", 1_500],
    ["0", 0],
    ["Infinity", Number.POSITIVE_INFINITY],
    [2_000, 2_000],
    [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY], // as YAML's .inf gives it
  ])("%j is %d ms", (value, ms) => {
    expect(parseConfig({ waitMs: value })).toEqual({ waitMs: ms });
  });

  test("one that is none is named with what it could be", () => {
    expect(refused({ ttlMs: "5 parsecs" })).toBe(
      'ttlMs: expected a duration of 100 to 2147483647 ms, such as "30s", "1m30s" or "500ms" (a number counts milliseconds), got "5 parsecs" (string)',
    );
    expect(refused({ waitMs: "soon" })).toContain('(a number counts milliseconds), or "Infinity", got "soon" (string)');
    expect(refused({ takeoverDelayMs: "999ms" })).toContain(
      '(a number counts milliseconds), or 0, got "999ms" (string)',
    );
  });

  test("text without a unit is refused with both ways to write it", () => {
    expect(refused({ ttlMs: "30000" })).toMatch(
      /got "30000" \(string\): write 30000s for seconds, 30000ms for milliseconds$/,
    );
  });

  // What a text stands for is checked as a number is, and as createLocker checks it: the bounds are in two places.
  const most = 2 ** 31 - 1;
  const numbers = [
    -1,
    0,
    1,
    19,
    20,
    49,
    50,
    99,
    100,
    999,
    1_000,
    1.5,
    most - 1,
    most,
    most + 1,
    Number.POSITIVE_INFINITY,
  ];
  const durations = Object.keys(entriesOf(configOptions)).filter((name) => name.endsWith("Ms"));
  test.each(durations)("%s has the bounds that createLocker checks", (name) => {
    // An interval as long as ttlMs leaves no time to renew: only createLocker knows that.
    const tried = numbers.filter((ms) => name !== "renewEveryMs" || ms !== most);
    const accepted = (take: (ms: number) => unknown) => tried.filter((ms) => isAccepted(() => take(ms)));
    const byLocker = accepted((ms) =>
      resolveLockerOptions({ url: "postgres://db.example/app", ttlMs: most, [name]: ms }, {}),
    );
    expect(byLocker.length).toBeGreaterThan(1);
    expect(accepted((ms) => parseConfig({ [name]: ms }))).toEqual(byLocker);
    expect(accepted((ms) => parseConfig({ [name]: Number.isFinite(ms) ? `${ms}ms` : "Infinity" }))).toEqual(byLocker);
  });
});

describe("minHoldMs", () => {
  test("may be a pair", () => {
    expect(parseConfig({ minHoldMs: ["30s", 60_000] })).toEqual({ minHoldMs: [30_000, 60_000] });
  });

  test.each([
    [
      ["1m", "30s"],
      'minHoldMs: expected a duration, or a pair such as ["30s", "1m"], the smaller one first, got an array',
    ],
    [["1m"], /^minHoldMs: expected a duration, or a pair/],
    [["1s", "2s", "3s"], /^minHoldMs: expected a duration, or a pair/],
    [["1s", "soon"], /^minHoldMs\[1\]: expected a duration of 0 to .*, got "soon" \(string\)$/],
  ])("%j is none", (minHoldMs, message) => {
    expect(refused({ minHoldMs })).toMatch(message);
  });
});

describe("retry", () => {
  const delaysOf = (retry: unknown): readonly (number | null | undefined)[] => {
    const { retry: strategy } = parseConfig({ retry });
    return [1, 2, 3, 4].map((attempt) => strategy?.(attempt));
  };

  test.each([
    [{ kind: "fixed", delayMs: "50ms", jitter: 0 }, [50, 50, 50, 50]],
    [{ kind: "linear", stepMs: "1s", jitter: 0, retries: 3 }, [1_000, 2_000, 3_000, null]],
    [{ kind: "exponential", firstMs: 100, jitter: 0, maxDelayMs: "500ms", retries: "Infinity" }, [100, 200, 400, 500]],
  ])("%j is a strategy of backoff", (retry, delays) => {
    expect(delaysOf(retry)).toEqual(delays);
  });

  test.each([
    ["exponential", /^retry: expected an object such as .*, got "exponential" \(string\)$/],
    [{ kind: "constant" }, 'retry.kind: expected "fixed" or "linear" or "exponential", got "constant" (string)'],
    [{ kind: "exponential" }, /^retry\.firstMs: expected a duration of 1 to .*, got undefined$/],
    [
      { kind: "fixed", firstMs: "1s" },
      '"firstMs": there is no such option in retry. The options are kind, delayMs, retries, maxDelayMs, jitter.',
    ],
    [{ kind: "fixed", delayMs: "0" }, /^retry\.delayMs: /],
    [
      { kind: "fixed", delayMs: 5, retries: -1 },
      'retry.retries: expected an integer of 0 and up, or "Infinity", got -1 (number)',
    ],
    [{ kind: "fixed", delayMs: 5, jitter: 2 }, "retry.jitter: expected a number of 0 to 1, got 2 (number)"],
    [{ kind: "fixed", delayMs: 5, maxDelayMs: "x" }, /^retry\.maxDelayMs: /],
  ])("%j is none", (retry, message) => {
    expect(refused({ retry })).toMatch(message);
  });

  test("a function belongs into code", () => {
    expect(refused({ retry: () => 5 })).toMatch(/^retry: expected an object such as .*, got a function$/);
  });
});

describe("instances", () => {
  const east = { url: "postgres://east.example/app" };

  test("have the options of a database each, written as those of the whole", () => {
    const west = { connection: { host: "west.example" }, takeoverDelayMs: "2s", store: "mine", weight: 2 };
    const mine = (() => undefined) as never;
    expect(parseConfig({ ttlMs: "10s", instances: { east, west } }, { stores: { mine } })).toEqual({
      ttlMs: 10_000,
      instances: { east, west: { ...west, takeoverDelayMs: 2_000 } },
      stores: { mine },
    });
  });

  test.each([
    [{}, /^instances: expected an object with at least one instance/],
    [{ "a b": east }, /^instances: expected names of 1 to 63 letters, digits, - and _, got "a b"$/],
    [{ a: east.url }, "instances.a: expected an object with options by name, got a string"],
    [{ a: { takeoverDelayMs: "5 parsecs" } }, /^instances\.a\.takeoverDelayMs: .*, got "5 parsecs" \(string\)$/],
    [{ a: { connection: { port: 0 } } }, /^instances\.a\.connection\.port: expected an integer of 1 to 65535/],
    [{ a: { weight: "2" } }, 'instances.a.weight: expected a finite number, got "2" (string)'],
    [{ a: { store: "redis" } }, /^instances\.a\.store: expected "postgres"/],
    [{ a: { client: {} } }, /^instances\.a\.client: cannot stand in a configuration: it is a client/],
    [
      { a: { takeoverDelay: 1 } },
      '"takeoverDelay": there is no such option in instances.a. Did you mean "takeoverDelayMs"?',
    ],
    [
      { a: { ttlMs: "1s" } },
      "instances.a.ttlMs: expected it to stand beside instances: it is the same for all of them",
    ],
  ])("%j: what is wrong is named by its path", (instances, message) => {
    expect(refused({ instances })).toMatch(message);
  });

  test("an unknown option of one is named by its path", () => {
    expect(refusal(() => parseConfig({ instances: { a: { urll: 1 } } })).option).toBe("instances.a.urll");
  });
});

describe("what is wrong is named by its path", () => {
  test.each([
    [{ keepAlive: "yes" }, "keepAlive", 'keepAlive: expected true or false, got "yes" (string)'],
    [{ presence: false }, "presence", 'presence: expected "on" or "off", got false (boolean)'],
    [{ ttlMs: null }, "ttlMs", /^ttlMs: .*, got null$/],
    [{ owner: "" }, "owner", /^owner: expected text of 1 to 256 bytes/],
    [{ connection: { port: 0 } }, "connection.port", /^connection\.port: expected an integer of 1 to 65535/],
    [{ connection: { connection: { a: [] } } }, "connection.connection.a", /^connection\.connection\.a: expected text/],
    [{ connection: { max: 5 } }, "connection.max", /^connection\.max: .*uses 3 at most$/],
    [{ metadata: { a: [new Date(0)] } }, "metadata", /^metadata\.a\[0\]: expected a JSON value, got Date$/],
  ])("%j", (value, option, message) => {
    const error = refusal(() => parseConfig(value));
    expect(error.option).toBe(option);
    expect(error.message).toMatch(message);
  });

  test.each([null, undefined, "text", 5, [], new Map([["ttlMs", 500]])])("%o is no configuration", (value) => {
    expect(refused(value)).toMatch(/^the configuration: expected an object with options by name, got /);
  });
});

describe("names", () => {
  test("an unknown one is refused, with the one that is near", () => {
    expect(refused({ ttl: "30s" })).toBe('"ttl": there is no such option in the configuration. Did you mean "ttlMs"?');
    const nested = refusal(() => parseConfig({ connection: { prot: 5432 } }));
    expect(nested.message).toBe('"prot": there is no such option in connection. Did you mean "port"?');
    expect(nested.option).toBe("connection.prot");
  });

  test.each(["onLost", "onAcquired", "onError", "statsPrefix", "client", "stores"])(
    "%s cannot stand in a file, and the reason is told",
    (name) => {
      const reason = /: cannot stand in a configuration: (it is|stores are) .+; give (it|them) to \w+/;
      expect(refused({ [name]: () => undefined })).toMatch(reason);
      expect(refused({ [name]: "text" })).toMatch(reason);
    },
  );

  test.each(["password", "onnotice"])("nor can a function as connection.%s", (name) => {
    expect(refused({ connection: { [name]: () => "" } })).toBe(
      `connection.${name}: expected text: a configuration has no functions, got a function`,
    );
  });
});

describe("stores", () => {
  const mine: StoreFactory = () => {
    throw new Error("nobody makes a locker here");
  };

  test("one of the program's own is named by the file, and comes along", () => {
    expect(parseConfig({ store: "mine" }, { stores: { mine } })).toEqual({ store: "mine", stores: { mine } });
    expect(parseConfig({}, { stores: { mine } })).toEqual({ stores: { mine } });
  });

  test("another name is refused with those that there are", () => {
    expect(refusal(() => parseConfig({ store: "redis" }, { stores: { mine } })).message).toBe(
      'store: expected "postgres" or "memory" or "noop" or "mine", got "redis" (string)',
    );
  });

  test("are checked", () => {
    expect(refusal(() => parseConfig({}, { stores: { mine: "x" } } as never)).option).toBe("stores.mine");
    expect(refusal(() => parseConfig({}, { store: mine } as never)).message).toContain('Did you mean "stores"?');
  });
});

describe("secrets", () => {
  test.each([
    { url: "mysql://app:hunter2@db" },
    { directUrl: "app:hunter2@db" },
    { store: "postgres://app:hunter2@db/app" },
    { ttlMs: "postgres://app:hunter2@db/app" },
    { connection: { port: "hunter2" } },
  ])("an error shows none: %j", (value) => {
    const error = refusal(() => parseConfig(value));
    expect(JSON.stringify(error) + error.message).not.toContain("hunter2");
  });
});

test("other options go beside those of a file: only createLocker checks what has to go together", () => {
  const file = parseConfig({ renewEveryMs: "40s" });
  expect(refusal(() => resolveLockerOptions({ url: "postgres://h/d", ...file }, {})).option).toBe("renewEveryMs");
  expect(() => resolveLockerOptions({ url: "postgres://h/d", ...file, ttlMs: 60_000 }, {})).not.toThrow();
});
