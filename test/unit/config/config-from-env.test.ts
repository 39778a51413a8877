import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { StoreFactory } from "../../../src/api/store.js";
import { resolveLockerOptions } from "../../../src/config/resolve-options.js";
import { configFromEnv } from "../../../src/config.js";
import { configOptions } from "../../../src/config-file/options.js";
import { entriesOf } from "../../../src/config-file/table.js";
import { variables } from "../../../src/config-file/variables.js";
import { refusal } from "../refusal.js";

const refused = (env: Readonly<Record<string, string>>) => refusal(() => configFromEnv(env)).message;

/** A text for each variable, and what it stands for. */
const samples: Readonly<Record<string, readonly [text: string, value: unknown]>> = {
  LEASEHOLD_DATABASE_URL: ["postgres://app@db.example/app", "postgres://app@db.example/app"],
  LEASEHOLD_DIRECT_URL: ["postgresql://app@direct.example/app", "postgresql://app@direct.example/app"],
  LEASEHOLD_CONNECTION: ['{ "keep_alive": 9 }', { keep_alive: 9 }],
  LEASEHOLD_PRESENCE: ["off", "off"],
  LEASEHOLD_TAKEOVER_DELAY: ["2s", 2_000],
  LEASEHOLD_REQUEST_TIMEOUT: ["3s", 3_000],
  LEASEHOLD_CONNECT_TIMEOUT: ["4s", 4_000],
  LEASEHOLD_IDLE_TIMEOUT: ["Infinity", Number.POSITIVE_INFINITY],
  LEASEHOLD_SWEEP_EVERY: ["1m30s", 90_000],
  LEASEHOLD_STATS_FLUSH: ["500ms", 500],
  LEASEHOLD_STORE: ["memory", "memory"],
  LEASEHOLD_INSTANCES: [
    '{ "east": "postgres://east.example/app", "west": { "url": "postgres://west.example/app", "idleTimeoutMs": "5s" } }',
    {
      east: { url: "postgres://east.example/app" },
      west: { url: "postgres://west.example/app", idleTimeoutMs: 5_000 },
    },
  ],
  LEASEHOLD_PREFIX: ["shop:", "shop:"],
  LEASEHOLD_TTL: ["30s", 30_000],
  LEASEHOLD_KEEP_ALIVE: ["false", false],
  LEASEHOLD_RENEW_EVERY: ["5s", 5_000],
  LEASEHOLD_MIN_HOLD: ["1m", 60_000],
  LEASEHOLD_MAX_HOLD: ["2h", 7_200_000],
  LEASEHOLD_GUARD_TIMEOUT: ["10s", 10_000],
  LEASEHOLD_METADATA: ['{ "team": "a" }', { team: "a" }],
  LEASEHOLD_OWNER: ["worker 7", "worker 7"],
  LEASEHOLD_WAIT: ["0", 0],
  LEASEHOLD_RETRY: ['{ "kind": "fixed", "delayMs": "1s" }', expect.any(Function)],
  LEASEHOLD_REENTRY: ["throw", "throw"],
};

test("every option that a configuration can have, and no other, has a variable of its own", () => {
  const withVariable = Object.entries(variables).filter(([, variable]) => variable !== null);
  const inFiles = Object.keys(entriesOf(configOptions)).filter((name) => name !== "$schema");
  expect(withVariable.map(([name]) => name).sort()).toEqual(inFiles.sort());
  expect(new Set(withVariable.map(([, variable]) => variable)).size).toBe(withVariable.length);
  expect(Object.keys(samples).sort()).toEqual(withVariable.map(([, variable]) => variable).sort());
});

test.each(Object.entries(variables).filter(([, variable]) => variable !== null))(
  "%s comes from %s",
  (option, variable) => {
    const [text, value] = samples[variable ?? ""] ?? [];
    expect(configFromEnv({ [variable ?? ""]: text })).toMatchObject({ [option]: value });
  },
);

test("all at once are options that a locker takes", () => {
  const env = Object.fromEntries(Object.entries(samples).map(([variable, [text]]) => [variable, text]));
  const options = configFromEnv(env);
  expect(Object.keys(options)).toHaveLength(Object.keys(samples).length);
  expect(resolveLockerOptions(options, {})).toMatchObject({ prefix: "shop:", ttlMs: 30_000, store: "memory" });
});

test("empty text counts as not set, and what is not set is left to createLocker", () => {
  const empty = Object.fromEntries(Object.keys(samples).map((variable) => [variable, ""]));
  expect(Object.keys(configFromEnv({ ...empty, HOME: "/root", DATABASE_URL: "postgres://db.example/app" }))).toEqual(
    [],
  );
});

test("a pair of minimum holds is JSON", () => {
  expect(configFromEnv({ LEASEHOLD_MIN_HOLD: '["1s", "2s"]' })).toEqual({ minHoldMs: [1_000, 2_000] });
  expect(refused({ LEASEHOLD_MIN_HOLD: '["1s", "x"]' })).toMatch(/^LEASEHOLD_MIN_HOLD\[1\]: /);
});

test("without an environment it reads that of the process", () => {
  expect(process.env.LEASEHOLD_OWNER).toBeUndefined();
  process.env.LEASEHOLD_OWNER = "me";
  try {
    expect(configFromEnv()).toEqual({ owner: "me" });
  } finally {
    delete process.env.LEASEHOLD_OWNER;
  }
});

describe("what is wrong is named by its variable", () => {
  test.each([
    ["LEASEHOLD_TTL", "30000", /^LEASEHOLD_TTL: .*: write 30000s for seconds, 30000ms for milliseconds$/],
    ["LEASEHOLD_TTL", "0", /^LEASEHOLD_TTL: .*, got "0" \(string\)$/],
    ["LEASEHOLD_TTL", "50ms", /^LEASEHOLD_TTL: expected a duration of 100 to/],
    ["LEASEHOLD_KEEP_ALIVE", "no", 'LEASEHOLD_KEEP_ALIVE: expected true or false, got "no" (string)'],
    ["LEASEHOLD_STORE", "redis", /^LEASEHOLD_STORE: expected "postgres" or "memory" or "noop"/],
    ["LEASEHOLD_METADATA", "{", "LEASEHOLD_METADATA: expected JSON, and it cannot be read as such"],
    ["LEASEHOLD_CONNECTION", '{ "port": 0 }', /^LEASEHOLD_CONNECTION\.port: expected an integer of 1 to 65535/],
    [
      "LEASEHOLD_CONNECTION",
      '{ "prot": 1 }',
      '"prot": there is no such option in LEASEHOLD_CONNECTION. Did you mean "port"?',
    ],
    [
      "LEASEHOLD_INSTANCES",
      "postgres://app:hunter2@db",
      /^LEASEHOLD_INSTANCES: expected a JSON object of instances, such as/,
    ],
    ["LEASEHOLD_INSTANCES", '{ "a": "app:hunter2@db" }', /^LEASEHOLD_INSTANCES\.a\.url: .*, got a string$/],
    ["LEASEHOLD_INSTANCES", '{ "a": { "weight": "2" } }', /^LEASEHOLD_INSTANCES\.a\.weight: expected a finite number/],
    ["LEASEHOLD_DATABASE_URL", "mysql://app:hunter2@db", /^LEASEHOLD_DATABASE_URL: .*postgresql:\/\/, got a string$/],
  ])("%s=%s", (variable, text, message) => {
    expect(refused({ [variable]: text })).toMatch(message);
  });
});

describe("variables that it does not know", () => {
  test.each([
    ["LEASEHOLD_TLL", "LEASEHOLD_TTL"],
    ["LEASEHOLD_TTL_MS", "LEASEHOLD_TTL"],
    ["LEASEHOLD_TAKEOVERDELAY", "LEASEHOLD_TAKEOVER_DELAY"],
    ["LEASEHOLD_DATABSE_URL", "LEASEHOLD_DATABASE_URL"],
    ["LEASEHOLD_URL", "LEASEHOLD_DATABASE_URL"],
    ["LEASEHOLD_SWEEP_EVERY_MS", "LEASEHOLD_SWEEP_EVERY"],
    ["LEASEHOLD_WIAT", "LEASEHOLD_WAIT"],
    ["LEASEHOLD_OWNR", "LEASEHOLD_OWNER"],
  ])("%s is a slip for %s", (variable, meant) => {
    const error = refusal(() => configFromEnv({ [variable]: "x" }));
    expect(error.message).toBe(`"${variable}": there is no such variable. Did you mean "${meant}"?`);
    expect(error.option).toBe(variable);
  });

  test.each(["TAG", "TZ", "MAIN", "STATE", "CORE", "POWER", "PORT", "SERVICE_HOST"])(
    "LEASEHOLD_%s is another word, and not a slip",
    (name) => {
      expect(configFromEnv({ [`LEASEHOLD_${name}`]: "x" })).toEqual({});
    },
  );

  test("those that this package uses otherwise, or a later version may know, are passed over", () => {
    const found = ["src/", "test/support/"]
      .flatMap(textsIn)
      .flatMap((text) => text.match(/\bLEASEHOLD_[A-Z_]+\b/g) ?? []);
    const used = [...new Set(found)].filter((name) => !Object.hasOwn(samples, name));
    expect(used).toEqual(expect.arrayContaining(["LEASEHOLD_KEY", "LEASEHOLD_FENCE", "LEASEHOLD_SEED"]));
    const env = Object.fromEntries([...used, "LEASEHOLD_OF_A_LATER_VERSION"].map((name) => [name, "x"]));
    expect(configFromEnv(env)).toEqual({});
  });
});

describe("addresses", () => {
  const url = "postgres://pooled.example/app";
  const direct = "postgres://direct.example/app";

  test.each(["LEASEHOLD_DIRECT_URL", "DIRECT_URL", "DATABASE_URL_UNPOOLED"])(
    "beside LEASEHOLD_DATABASE_URL the direct one comes from %s, as it does without any options",
    (variable) => {
      const env = { LEASEHOLD_DATABASE_URL: url, [variable]: direct };
      const given = resolveLockerOptions(configFromEnv(env), env).targets();
      expect(given).toEqual(resolveLockerOptions({}, env).targets());
      expect(given.directTarget?.hosts).toMatchObject([{ host: "direct.example" }]);
    },
  );

  test("the application's own variables do not replace what a file names", () => {
    const env = { DATABASE_URL: url, DIRECT_URL: direct };
    expect(configFromEnv(env)).toEqual({});
  });

  test("one from the environment takes the direct one of a file with it, which leads to another database", () => {
    const file = { url: "postgres://file.example/app", directUrl: "postgres://file-direct.example/app" };
    const env = { LEASEHOLD_DATABASE_URL: url };
    const { target, directTarget } = resolveLockerOptions({ ...file, ...configFromEnv(env) }, env).targets();
    expect(target?.hosts).toMatchObject([{ host: "pooled.example" }]);
    expect(directTarget).toBe(target);
  });
});

test("stores of the program's own can be named, and come along", () => {
  const mine: StoreFactory = () => {
    throw new Error("nobody makes a locker here");
  };
  expect(configFromEnv({ LEASEHOLD_STORE: "mine" }, { stores: { mine } })).toEqual({ store: "mine", stores: { mine } });
  expect(refusal(() => configFromEnv({}, { stores: [] } as never)).option).toBe("stores");
});

/** The text of each file in a folder of the project. */
function textsIn(folder: string): readonly string[] {
  const path = fileURLToPath(new URL(`../../../${folder}`, import.meta.url));
  const files = readdirSync(path, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  return files.map((name) => readFileSync(path + name, "utf8"));
}

test.each([[null], [5], ["x"], [[]]])("an environment that is none is refused: %j", (env: unknown) => {
  expect(refusal(() => configFromEnv(env as never)).message).toMatch(
    /^env: expected an object such as process\.env, got/,
  );
});
