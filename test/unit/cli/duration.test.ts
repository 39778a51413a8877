import { expect, test } from "vitest";
import { formatDuration, parseDuration } from "../../../src/cli/duration.js";

test.each([
  ["0", 0],
  ["0s", 0],
  ["500ms", 500],
  ["30s", 30_000],
  ["1.5s", 1_500],
  ["16.1s", 16_100],
  ["4.1m", 246_000],
  ["1.1h", 3_960_000],
  ["2m", 120_000],
  ["1h30m", 5_400_000],
  ["1h30m5s250ms", 5_405_250],
  ["1d", 86_400_000],
])("%s is %d ms", (text, ms) => {
  expect(parseDuration("--wait", text)).toBe(ms);
});

test.each(["5", "1.5", "30000"])("%s has no unit: the error says how seconds and milliseconds are written", (text) => {
  expect(() => parseDuration("--wait", text)).toThrow(
    `got "${text}": write ${text}s for seconds, ${text}ms for milliseconds`,
  );
});

test.each(["", "5", "s", "-1s", "1 s", "1s1s", "1m1h", "1.5", "0.5ms", "1e3s", "30S", "25d", "Infinity"])(
  "%j is no duration",
  (text) => {
    expect(() => parseDuration("--wait", text)).toThrow(
      /^--wait: expected a duration such as 500ms, 30s, 2m or 1h30m, got "/,
    );
  },
);

test.each([
  [0, "0ms"],
  [850.4, "850ms"],
  [1_000, "1s"],
  [4_260, "4.2s"],
  [59_999, "59.9s"],
  [60_000, "1m"],
  [90_500, "1m30s"],
  [7_500_000, "2h5m"],
  [7_259_000, "2h"],
  [273_600_000, "3d4h"],
  [-1_500, "-1.5s"],
])("%d ms read %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
