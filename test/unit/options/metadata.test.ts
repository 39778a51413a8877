import { describe, expect, test } from "vitest";
import { checkMetadata } from "../../../src/config/metadata.js";
import { InvalidOptionError } from "../../../src/errors/errors.js";

describe("metadata that JSON can say", () => {
  test.each<[string, unknown, string | null]>([
    ["null", null, null],
    ["a string", "job", '"job"'],
    ["a number", 1.5, "1.5"],
    ["false", false, "false"],
    ["an array", [1, null, "a"], '[1,null,"a"]'],
    ["an object", { job: "x", tries: [1, 2] }, '{"job":"x","tries":[1,2]}'],
    ["a property that is undefined", { a: 1, b: undefined }, '{"a":1}'],
    ["an object without a prototype", Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
    ["a property named __proto__", JSON.parse('{"__proto__":{"a":1}}'), '{"__proto__":{"a":1}}'],
    ["a surrogate pair", "🔒", '"🔒"'],
    ["as much as fits", "x".repeat(65_534), `"${"x".repeat(65_534)}"`],
  ])("%s", (_, value, json) => {
    expect(checkMetadata(value).json).toBe(json);
  });

  test("is copied and frozen", () => {
    const given = { list: [{ a: 1 }] };
    const { value } = checkMetadata(given);
    given.list.push({ a: 2 });
    expect(value).toEqual({ list: [{ a: 1 }] });
    expect(Object.isFrozen(value)).toBe(true);
    expect(() => Object.assign((value as typeof given).list[0] ?? {}, { a: 3 })).toThrow(TypeError);
  });
});

describe("metadata that JSON or Postgres cannot say is refused, with its place", () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;

  test.each<[string, unknown, string]>([
    ["a bigint", { a: [1n] }, "metadata.a[0]: expected a JSON value, got 1n (bigint)"],
    ["a function", { a: () => 1 }, "metadata.a: expected a JSON value, got a function"],
    ["a symbol", Symbol("s"), "metadata: expected a JSON value, got a symbol"],
    ["undefined in an array", [undefined], "metadata[0]: expected a JSON value, got undefined"],
    ["a Date", { at: new Date(0) }, "metadata.at: expected a JSON value, got Date"],
    ["a Map", new Map(), "metadata: expected a JSON value, got Map"],
    ["NaN", { a: Number.NaN }, "metadata.a: expected a finite number, got NaN (number)"],
    ["Infinity", [Number.POSITIVE_INFINITY], "metadata[0]: expected a finite number"],
    ["NUL", { a: "x\0y" }, "metadata.a: expected text without NUL"],
    ["NUL in a name", { "a\0": 1 }, "metadata, a property's name: expected text without NUL"],
    ["a lone surrogate", ["\ud800"], "metadata[0]: expected text without lone surrogates"],
    ["a cycle", cycle, "expected no cycle"],
    ["too much of it", "x".repeat(65_535), "metadata: expected at most 65536 bytes as JSON, got 65537"],
    ["too many bytes", "é".repeat(32_768), "metadata: expected at most 65536 bytes as JSON, got 65538"],
  ])("%s", (_, value, says) => {
    expect(() => checkMetadata(value)).toThrow(InvalidOptionError);
    expect(() => checkMetadata(value)).toThrow(says);
  });
});
