import { expect, test } from "vitest";
import { keyFilter, readPattern } from "../../../src/cli/pattern.js";

test.each([
  ["order:", "order:"],
  ["100%_\\", "100%_\\"],
  ["a\\*b", "a*b"],
  ["a\\?b\\\\", "a?b\\"],
  ["", ""],
])("%j is text: %j", (argument, text) => {
  expect(readPattern(argument)).toEqual({ isPattern: false, text });
});

test.each([
  ["order:*", "order:%"],
  ["?", "_"],
  ["100%_*", "100\\%\\_%"],
  ["a\\**", "a*%"],
  ["a\\\\*", "a\\\\%"],
  ["a\\b?", "a\\\\b_"],
  ["*\\", "%\\\\"],
  ["a\n*", "a\n%"],
])("%j is a pattern: like %j", (argument, text) => {
  expect(readPattern(argument)).toEqual({ isPattern: true, text });
});

test("what is no pattern is compared as the command does it", () => {
  expect(keyFilter(undefined, "=")).toBeUndefined();
  expect(keyFilter("a\\*", "=")).toEqual({ column: "key", operator: "=", value: "a*" });
  expect(keyFilter("a", "starts with")).toEqual({ column: "key", operator: "starts with", value: "a" });
  expect(keyFilter("a*", "=")).toEqual({ column: "key", operator: "matches", value: "a%" });
});
