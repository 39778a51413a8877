// The JSON schema of a configuration against parseConfig: with values at the edges of each kind, and with many at once.
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { DURATION_PATTERN, parseDuration } from "../../../src/config/duration.js";
import { parseConfig } from "../../../src/config.js";
import { configSchema } from "../../../src/config-file/config-schema.js";
import { configOptions } from "../../../src/config-file/options.js";
import { entriesOf } from "../../../src/config-file/table.js";
import { seeded } from "../../support/random.js";
import { isAccepted } from "../refusal.js";

const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, strict: true });
const bySchema = ajv.compile(configSchema());
const byParser = (value: unknown): boolean => isAccepted(() => parseConfig(value));
const options = Object.keys(entriesOf(configOptions));

/** Values at the edges of the kinds, all of JSON. */
const values: readonly unknown[] = [
  ...[null, true, false, "", "x", {}, [], { a: 1 }],
  ...[["1s", "2s"], [0, 5], ["2s", "1s"], [1_000], [1, 2, 3], [-1, 5], ["1s", "soon"], [["1s"], "2s"]],
  ...[{ kind: "fixed", delayMs: "1s" }, { kind: "exponential", firstMs: 50, retries: 5 }, { kind: "linear" }],
  ...[{ a: {} }, { a: { url: "postgres://h/d", weight: 2 } }, { "a b": {} }],
  ...[-1, 0, 1, 1.5, 19, 20, 49, 50, 99, 100, 999, 1_000, 2 ** 31 - 1, 2 ** 31, 1e21],
  ...["0", "0ms", "1ms", "99ms", "100ms", "999ms", "1s", "30s", "1m30s", "500ms", "1.5s", "24d", "25d", "Infinity"],
  ...["30", "-1s", "1 s", "0.5ms", "1s1s", "1m1h", "30S", "5 parsecs", "infinity", "Infinity ", "1s\n"],
  ...["on", "off", "throw", "wait", "postgres", "memory", "noop", "redis", "true"],
  ...["postgres://h/d", "postgresql://h/d", "mysql://h/d", " postgres://h/d", "postgres:/h", "POSTGRES://h/d"],
  ..."a\0é\u{1f512}".split("").map((letter) => letter.repeat(256)),
  ...["a", "é"].flatMap((letter) => [255, 256, 257, 511, 512].map((length) => letter.repeat(length))),
];

/** What only the parser knows of a value that the schema takes. */
const beyondSchema: readonly ((name: string, value: unknown) => boolean)[] = [
  // how long a text lasts
  (name, value) => name.endsWith("Ms") && typeof value === "string" && parseDuration(value) !== null,
  // which of two is larger
  (name, value) => name === "minHoldMs" && Array.isArray(value) && value.length === 2,
  // how many bytes a text has, and that it has whole letters
  (name, value) =>
    /^(owner|prefix|\$schema)$/.test(name) &&
    typeof value === "string" &&
    (Buffer.byteLength(value) > 256 || /\p{Surrogate}/u.test(value)),
  // which stores of its own a program has
  (name, value) => name === "store" && typeof value === "string",
  // what Postgres cannot store
  (name, value) =>
    name === "metadata" && typeof value === "string" && (value.includes("\0") || /\p{Surrogate}/u.test(value)),
];
const isBeyondSchema = (name: string, value: unknown): boolean => beyondSchema.some((rule) => rule(name, value));

test("the package has it (npm run build writes it)", () => {
  const file = fileURLToPath(new URL("../../../config.schema.json", import.meta.url));
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(configSchema());
});

describe("each option", () => {
  test.each(options)("%s: schema and parser take the same", (name) => {
    const taken = values.filter((value) => byParser({ [name]: value }));
    expect(taken.length).toBeGreaterThan(0);
    expect(taken.length).toBeLessThan(values.length);
    const differing = values.filter((value) => bySchema({ [name]: value }) !== taken.includes(value));
    expect(differing.filter((value) => taken.includes(value))).toEqual([]);
    expect(differing.filter((value) => !isBeyondSchema(name, value))).toEqual([]);
  });

  test("has a description that says what it is without", () => {
    const { properties } = configSchema() as { properties: Readonly<Record<string, { description: string }>> };
    expect(Object.keys(properties)).toEqual(options);
    for (const name of options.filter((one) => !["$schema", "connection"].includes(one))) {
      expect(properties[name]?.description, name).toMatch(/\. (.*\. )?Default/);
    }
  });
});

/** Values at the edges of options of postgres.js. */
const connectionValues: readonly unknown[] = [
  ...[
    null,
    true,
    false,
    "",
    "x",
    "a\0",
    {},
    [],
    { ca: "pem" },
    { a: "b" },
    { a: 1, b: false },
    { a: "" },
    { a: null },
    { a: {} },
  ],
  ...[-1, 0, 1, 1.5, 65_535, 65_536, 86_400, 86_401],
  ...["require", "allow", "prefer", "verify-full", "verify-ca", "postgres", "direct", "read-write", "primary", "any"],
];

test("the options of postgres.js: schema and parser take the same", () => {
  const { properties } = configSchema() as unknown as { properties: { connection: { properties: object } } };
  const names = [...Object.keys(properties.connection.properties), "max", "hostname", "prot"];
  for (const name of names) {
    for (const value of connectionValues) {
      const config = { connection: { [name]: value } };
      expect([config, bySchema(config)]).toEqual([config, byParser(config)]);
    }
  }
});

test("strategies of retry: schema and parser take the same", () => {
  const kinds = ["fixed", "linear", "exponential", "constant", undefined];
  const first = [{ delayMs: "50ms" }, { stepMs: 50 }, { firstMs: "1s" }, { firstMs: 0 }, { delayMs: "Infinity" }, {}];
  const others = [
    ...[{}, { retries: 0 }, { retries: 5, jitter: 0.5, maxDelayMs: "10s" }, { retries: "Infinity" }, { jitter: 1 }],
    ...[{ retries: -1 }, { retries: 1.5 }, { retries: "5" }, { jitter: 1.1 }, { jitter: -0.1 }, { jitter: "0.5" }],
    ...[{ maxDelayMs: 0 }, { maxDelayMs: null }, { max: "5s" }, { delayMs: "1s", stepMs: "1s" }],
  ];
  let taken = 0;
  for (const kind of kinds) {
    for (const delay of first) {
      for (const other of others) {
        const config: unknown = JSON.parse(JSON.stringify({ retry: { kind, ...delay, ...other } }));
        expect([config, bySchema(config)]).toEqual([config, byParser(config)]);
        if (byParser(config)) taken += 1;
      }
    }
  }
  expect(taken).toBeGreaterThan(10);
});

test("instances: schema and parser take the same", () => {
  const url = "postgres://east.example/app";
  const samples: readonly unknown[] = [
    ...[{}, [], null, "a", { a: null }, { a: {} }, { a: { url } }, { a: url }, { a: [] }],
    ...[
      { a: { url }, "b-2_C": { url, weight: 2 } },
      { "a b": { url } },
      { "": { url } },
      { ["a".repeat(64)]: { url } },
    ],
    ...[{ a: { weight: 0 } }, { a: { weight: -1.5 } }, { a: { weight: "2" } }, { a: { weight: null } }],
    ...[{ a: { takeoverDelayMs: "2s" } }, { a: { takeoverDelayMs: 999 } }, { a: { takeoverDelayMs: "soon" } }],
    ...[{ a: { connection: { port: 5_432 } } }, { a: { connection: { port: 0 } } }, { a: { presence: "off" } }],
    ...[
      { a: { ttlMs: "2s" } },
      { a: { client: {} } },
      { a: { stores: {} } },
      { a: { wieght: 1 } },
      { a: { url: "x" } },
    ],
  ];
  const taken = samples.filter((instances) => byParser({ instances }));
  expect(taken.length).toBeGreaterThan(5);
  expect(samples.filter((instances) => bySchema({ instances }))).toEqual(taken);
});

test("names that there are not: schema and parser refuse the same", () => {
  for (const name of ["ttl", "onLost", "client", "stores", "toString", "__proto__"]) {
    const config: unknown = JSON.parse(`{ "${name}": "30s" }`);
    expect([name, bySchema(config), byParser(config)]).toEqual([name, false, false]);
  }
});

test("whole configurations, made at random: one wrong value is enough for both", () => {
  const random = seeded("configurations");
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const good = options.map((name) => values.filter((value) => byParser({ [name]: value })));
  const counts = { taken: 0, refused: 0 };
  for (let round = 0; round < 2_000; round++) {
    const config = Object.fromEntries(
      options
        .filter(() => random() < 0.4)
        .map((name) => [name, random() < 0.95 ? pick(good[options.indexOf(name)] ?? []) : pick(values)]),
    );
    if (Object.entries(config).some(([name, value]) => isBeyondSchema(name, value) && !byParser({ [name]: value })))
      continue;
    const isTaken = byParser(config);
    counts[isTaken ? "taken" : "refused"] += 1;
    expect([config, bySchema(config)]).toEqual([config, isTaken]);
  }
  expect(Math.min(counts.taken, counts.refused)).toBeGreaterThan(100);
});

test("texts of durations, made at random: the schema's pattern knows them", () => {
  const random = seeded("durations");
  const parts = ["0", "1", "5", "30", ".", "d", "h", "m", "s", "ms", "-", " ", "e"];
  const pattern = new RegExp(DURATION_PATTERN, "u");
  let durations = 0;
  for (let round = 0; round < 20_000; round++) {
    const text = Array.from(
      { length: 1 + Math.floor(random() * 6) },
      () => parts[Math.floor(random() * parts.length)],
    ).join("");
    const ms = parseDuration(text);
    expect([text, pattern.test(text)]).toEqual([text, ms !== null]);
    if (ms === null) continue;
    durations += 1;
    expect([text, Number.isInteger(ms)]).toEqual([text, true]);
  }
  expect(durations).toBeGreaterThan(500);
});
