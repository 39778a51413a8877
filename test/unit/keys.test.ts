import { describe, expect, test } from "vitest";
import { checkKey, key } from "../../src/config/key.js";
import { InvalidKeyError } from "../../src/errors/errors.js";

describe("checkKey", () => {
  test.each(["a", " ", "order:42", "ключ", "🔒", "a\nb", "%", "x".repeat(512), "é".repeat(256)])("takes %j", (text) => {
    expect(checkKey(text)).toBe(text);
  });

  test("puts the prefix in front", () => {
    expect(checkKey("b", "a/")).toBe("a/b");
  });

  test.each<[unknown, string]>([
    ["", "not empty"],
    ["x".repeat(513), "at most 512 bytes in UTF-8, got 513"],
    ["é".repeat(257), "at most 512 bytes in UTF-8, got 514"],
    ["a\0b", "without NUL"],
    ["a\ud800", "without lone surrogates"],
    ["\udc00a", "without lone surrogates"],
    [42, "expected a string, got 42 (number)"],
    [["a", "b"], "join parts that name one thing with key(...parts), and acquire several keys with acquireAll"],
    [null, "got null"],
    [undefined, "got undefined"],
    [Symbol("a"), "got a symbol"],
    [["a"], "got an array"],
    [{ toString: () => "a" }, "got an object"],
  ])("refuses %j", (value, says) => {
    expect(() => checkKey(value)).toThrow(InvalidKeyError);
    expect(() => checkKey(value)).toThrow(says);
  });

  test("counts the prefix", () => {
    expect(() => checkKey("x".repeat(510), "ab")).not.toThrow();
    expect(() => checkKey("x".repeat(511), "ab")).toThrow("at most 512 bytes in UTF-8, the prefix included, got 513");
  });

  test("a prefix alone makes no key", () => {
    expect(() => checkKey("", "prefix")).toThrow("not empty");
  });
});

describe("key", () => {
  test.each([
    { parts: ["order", 42], expected: "order:42" },
    { parts: ["a:b", "c"], expected: "a%3Ab:c" },
    { parts: ["a", "b:c"], expected: "a:b%3Ac" },
    { parts: ["100%", "x"], expected: "100%25:x" },
    { parts: ["a", ""], expected: "a:" },
    { parts: ["", "a"], expected: ":a" },
    { parts: ["", ""], expected: ":" },
    { parts: ["a"], expected: "a" },
    { parts: [7n, -0, 1.5], expected: "7:0:1.5" },
  ])("makes $expected", ({ parts, expected }) => {
    expect(key(...parts)).toBe(expected);
  });

  test.each([{ parts: [] }, { parts: [""] }, { parts: ["a\0"] }, { parts: ["\ud800"] }, { parts: ["x".repeat(513)] }])(
    "refuses what is no key: $parts",
    ({ parts }) => {
      expect(() => key(...parts)).toThrow(InvalidKeyError);
    },
  );

  test.each<unknown>([Number.NaN, Number.POSITIVE_INFINITY, true, null, undefined, {}, Symbol("a")])(
    "refuses the part %o",
    (part) => {
      expect(() => key("a", part as string)).toThrow("strings, finite numbers or bigints");
    },
  );

  test("different parts never make the same key (every list of 1 to 3 parts over a nasty alphabet)", () => {
    const pieces = ["", ":", "%", "%3A", "%25", "3A", "a", "a:", ":a", "%3", "A", "::", "%253A"];
    const lists = pieces.flatMap((a) => [[a], ...pieces.flatMap((b) => [[a, b], ...pieces.map((c) => [a, b, c])])]);
    const valid = lists.filter((parts) => parts.length > 1 || parts[0] !== "");
    expect(new Set(valid.map((parts) => key(...parts))).size).toBe(valid.length);
  });

  test("the parts can be had back (random ones)", () => {
    const alphabet = ["a", ":", "%", "3", "A", "5", "2", "é", "🔒"];
    const pick = (most: number) => Math.floor(Math.random() * most);
    for (let round = 0; round < 5_000; round++) {
      const parts = Array.from({ length: 2 + pick(4) }, () =>
        Array.from({ length: pick(7) }, () => alphabet[pick(alphabet.length)]).join(""),
      );
      expect(
        key(...parts)
          .split(":")
          .map(decodeURIComponent),
      ).toEqual(parts);
    }
  });
});
