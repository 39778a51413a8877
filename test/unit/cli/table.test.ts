import { expect, test } from "vitest";
import { printable } from "../../../src/cli/printable.js";
import { tableLines } from "../../../src/cli/table.js";
import { cut, cutMiddle, widthOf } from "../../../src/cli/width.js";

const columns = [
  { heading: "KEY", isElastic: true },
  { heading: "N", isRight: true },
  { heading: "OWNER", isElastic: true },
];

test("columns stand below their headings, numbers to the right", () => {
  const rows = [
    ["order:42", "7", "a"],
    ["b", "12345", "worker"],
  ];
  expect(tableLines(columns, rows, { width: Number.POSITIVE_INFINITY })).toEqual([
    "KEY           N  OWNER",
    "order:42      7  a",
    "b         12345  worker",
  ]);
});

test("wide characters and emoji take the columns that they take on a terminal", () => {
  const rows = [
    ["注文:四十二", "1", "👩‍💻"],
    ["order", "2", "é"],
  ];
  const lines = tableLines(columns, rows, { width: Number.POSITIVE_INFINITY });
  expect(lines).toEqual(["KEY          N  OWNER", "注文:四十二  1  👩‍💻", "order        2  é"]);
  expect(widthOf(lines[1]?.split("  1  ")[0] ?? "")).toBe(11);
});

test("on a narrow terminal the widest text is cut, and no line is wider than it", () => {
  const rows = [["order:".repeat(20), "1", "a-rather-long-owner:4711"]];
  for (const width of [60, 40, 20, 10, 3]) {
    const lines = tableLines(columns, rows, { width });
    expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(width);
  }
  expect(tableLines(columns, rows, { width: 40 })).toEqual([
    "KEY                N  OWNER",
    "order:or…r:order:  1  a-rather-…ner:4711",
  ]);
});

test("text is cut between characters, never within one", () => {
  expect(cut("漢字漢字", 5)).toBe("漢字…");
  expect(cut("漢字漢字", 4)).toBe("漢…");
  expect(cut("👩‍💻👩‍💻", 3)).toBe("👩‍💻…");
  expect(cut("abc", 3)).toBe("abc");
  expect(cut("abc", 0)).toBe("");
});

test("a long key is cut in its middle, because both ends tell which it is", () => {
  expect(cutMiddle("tenant:4711:import:2026-11-20", 15)).toBe("tenant:…6-11-20");
  expect(cutMiddle("tenant:4711:import:2026-11-20", 16)).toBe("tenant:4…6-11-20");
  expect(cutMiddle("漢字漢字:終", 8)).toBe("漢字…:終");
  expect(cutMiddle("👩‍💻👩‍💻👩‍💻", 5)).toBe("👩‍💻…👩‍💻");
  expect(cutMiddle("abcd", 4)).toBe("abcd");
  expect([3, 2, 1, 0].map((width) => cutMiddle("abcd", width))).toEqual(["a…d", "a…", "…", ""]);
  for (let width = 0; width < 12; width += 1)
    expect(widthOf(cutMiddle("a漢é字👩‍💻b字c", width))).toBeLessThanOrEqual(width);
});

test("a key cannot write to the terminal: what moves, colours or turns is shown as an escape", () => {
  expect(printable("a\nb\tc\r")).toBe("a\\nb\\tc\\r");
  expect(printable("\u001b[31mred\u0007\u009b")).toBe("\\u001b[31mred\\u0007\\u009b");
  expect(printable("\u202egnp.exe")).toBe("\\u202egnp.exe");
  expect(printable("ordinary: ünïcödé 漢字 👩‍💻")).toBe("ordinary: ünïcödé 漢字 👩‍💻");
  expect(tableLines(columns, [["a\nb", "1", "\u001b[2J"]], { width: 80 })[1]).toBe("a\\nb  1  \\u001b[2J");
});
